/** Maps memory, says where, and answers each line on its input with a hash of it. */
import { Mapping } from "../../../ffi/libc/index.ts";

const mapping = Mapping.allocate(Number(process.argv[2]));
console.log(mapping.address);
for await (const line of console) if (line === "hash") console.log(String(Bun.hash(mapping.bytes)));

/** One {@link Half} as a process on a host of its own: `program.ts prefill 10.77.0.1`, then lines of {@link Ask}. */
import { type Ask, Half } from "./half.ts";

const [mode, host] = process.argv.slice(2) as ["prefill" | "decode", string];
const half = await Half.start(mode, host);
const answer = (value: object): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);

answer(half.ports);
for await (const line of console) answer(await half.generate(JSON.parse(line) as Ask));

/** Microseconds of the first room after both processes have started. */
import { RoomPair } from "./pair.ts";

const pair = await RoomPair.open(process.argv[2]!);
const { whole } = await pair.one(0);
console.log(whole);
await pair.close();

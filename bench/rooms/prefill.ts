/**
 * The prefill process of bench/rooms.ts: for each line `room pages` of its standard input it has a sender ready, whose
 * pages are all given; it answers at once, and again, with the time in ms, when the room has succeeded here.
 */
import { now } from "../../lib/clock.ts";
import { KVManager } from "../../lib/index.ts";
import { BenchPool } from "./pool.ts";

const [transport, pageBytes, pages] = process.argv.slice(2) as [string, string, string];
const pool = new BenchPool(Number(pageBytes), Number(pages));
const manager = await KVManager.create({
  role: "prefill",
  args: pool.args,
  bootstrap: { host: "127.0.0.1", port: 0, serve: true },
  transport,
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const report = (room: number, seconds: number): void => say(`done ${room} ${now()} ${seconds * 1e6}`);
// The first call is compiled, and the first number made text, at a cost of some 200 µs that is not the first room's.
await Promise.resolve().then(() => report(0, 0));
say(manager.bootstrapServer!.address);
for await (const line of console) {
  const [room, count] = line.split(" ").map(Number) as [number, number];
  const sender = manager.createSender({ room });
  sender.init(count, room % 8);
  sender.send(Array.from({ length: count }, (_, page) => page));
  say(`ready ${room}`);
  void sender.done.then(() => {
    report(room, sender.transferMetric().transferLatencyS);
    sender.clear();
  });
}

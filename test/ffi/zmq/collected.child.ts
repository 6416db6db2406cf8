/**
 * Exchanges frames with the router named on the command line that echoes them, collecting garbage around each call;
 * prints how many came back wrong. In a process of its own: in that of all tests 200 collections take seconds.
 * @module
 */
import { ZmqContext } from "../../../ffi/zmq/index.ts";
import { pattern, receiveWithin } from "./support.ts";

using context = ZmqContext.create();
const dealer = context.socket("dealer");
dealer.connect(process.argv[2]!);
let wrong = 0;
for (let round = 0; round < 100; round++) {
  const frames = [round, 700 + round, 40_000 + round, 70_000 + round].map(pattern);
  dealer.send(frames);
  Bun.gc(true);
  const echo = receiveWithin(dealer) ?? [];
  Bun.gc(true);
  wrong += frames.filter((frame, index) => Buffer.compare(frame, echo[index] ?? new Uint8Array(1)) !== 0).length;
}
console.log(wrong);

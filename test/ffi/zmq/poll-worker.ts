/** Says where it listens, then blocks in wait() and reports each message, until one says "stop". @module */
import { ZmqContext, ZmqPoller } from "../../../ffi/zmq/index.ts";
import { texts } from "./support.ts";

const context = ZmqContext.create();
const pull = context.socket("pull");
pull.bind("tcp://127.0.0.1:0");
postMessage(pull.lastEndpoint);
const poller = new ZmqPoller();
poller.add(pull, { readable: true });
for (let word = ""; word !== "stop";) {
  if (poller.wait(10_000) === 0) break;
  const message = texts(pull.receive()) ?? [];
  postMessage(message);
  word = message[0] ?? "";
}
context.close();
postMessage("closed");

/** Opens and closes sockets, and now and then a context; prints what has grown since the first hundred. @module */
import { ZmqContext, ZmqError } from "../../../ffi/zmq/index.ts";
import { openFds, until } from "./support.ts";

let context = ZmqContext.create();

function cycle(index: number): void {
  const socket = context.socket(index % 2 === 0 ? "router" : "dealer", { routingId: `socket ${index}` });
  if (index % 4 === 0) socket.bind("ipc://*");
  else socket.connect("ipc://@nobody-listens-here");
  if (index % 3 === 0) socket.send(["nobody", "hears", "this"]);
  socket.close();
  if (index % 100 !== 99) return;
  context.close();
  context = ZmqContext.create();
}

/** A socket's descriptors are closed a moment after it: EMFILE or a refused slot only means that the moment is not over. */
function patiently(action: () => void): void {
  until(() => {
    try {
      action();
      return true;
    } catch (error) {
      if (error instanceof ZmqError && error.code === "EMFILE") return false;
      throw error;
    }
  });
}

const cycles = Number(process.argv[2]);
for (let index = 0; index < 100; index++) patiently(() => cycle(index));
const [fds, resident] = [openFds(), process.memoryUsage.rss()];
for (let index = 0; index < cycles; index++) patiently(() => cycle(index));
const grown = { fds: openFds() - fds, megabytes: (process.memoryUsage.rss() - resident) / 2 ** 20 };
context.close();
console.log(JSON.stringify(grown));

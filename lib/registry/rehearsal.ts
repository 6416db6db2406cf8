import { type ZmqContext, ZmqPoller } from "../../ffi/zmq/index.ts";
import { now } from "../clock.ts";
import { latentLayout } from "../planner/index.ts";
import { encodeRelayed, encodeRequest, type Frames, type Member } from "../protocol/index.ts";
import { RegistrySocket } from "./registry-socket.ts";

const MESSAGES = 150;
/** What is not done by then is left: a machine that is busy has other things to do. */
const LIMIT_MS = 200;

/** Hands messages on between two members of its own, so that the first real one of this thread meets compiled code. */
export function rehearseRegistry(context: ZmqContext): void {
  const deadline = now() + LIMIT_MS;
  using registry = RegistrySocket.bind(context, { host: "127.0.0.1", port: 0, leaseMs: 10 * LIMIT_MS, maxMembers: 2 });
  const poller = new ZmqPoller();
  poller.add(registry.socket, { readable: true });
  using cleanup = new DisposableStack();
  const join = (role: Member["role"]) => {
    const socket = cleanup.use(context.socket("dealer", { linger: 0 }));
    socket.connect(`tcp://127.0.0.1:${registry.port}`);
    poller.add(socket, { readable: true });
    socket.send(encodeRequest("register", { member: memberOf(role) }));
    return socket;
  };
  const hears = (socket: ReturnType<typeof join>): boolean => {
    while (now() < deadline) {
      if (socket.receive() !== undefined) return true;
      poller.wait(1);
      registry.step();
    }
    return false;
  };
  const prefill = join("prefill");
  const decode = join("decode");
  // Each hears that it is registered, and one of them of the other.
  if (!hears(prefill) || !hears(decode)) return;
  for (let room = 1; room <= MESSAGES; room++) {
    decode.send(roomFrames(room));
    if (!hears(prefill)) return;
  }
}

function memberOf(role: Member["role"]): Member {
  const layout = latentLayout({ address: 0, pages: 1, pageBytes: 1, auxSlots: 1, auxBytes: 1 });
  return { id: role, epoch: "rehearsal", role, dpRank: 0, dpSize: 1, layout, transports: [] };
}

function roomFrames(room: number): Frames {
  const header = { pair: "rehearsal", room, tag: room, auxIndex: 0, decodePrefixTokens: 0, dummy: false, infos: 1 };
  return encodeRelayed("room", "prefill", header, Int32Array.of(room));
}

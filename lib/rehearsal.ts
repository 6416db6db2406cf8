import { KVPoll } from "./rooms/index.ts";
import { LoopbackWorld } from "./transports/loopback/index.ts";

const ROOMS = 150;
const PAGE_BYTES = 64;
const PAGES = 8;
const REGISTRY = "rehearsal:1";

let done = false;

/**
 * Runs rooms through the state machines in a simulated world, so that the first real room of this thread meets compiled
 * code: without it the first takes twice as long again. Takes some tens of milliseconds, once a thread.
 */
export function rehearse(): void {
  if (done) return;
  done = true;
  const world = new LoopbackWorld({ seed: 1, delayMs: [0.01, 0.02] });
  const args = () => {
    const { address } = world.memory.allocate(PAGES * PAGE_BYTES * 3);
    return {
      kvDataPtrs: [address, address + PAGES * PAGE_BYTES],
      kvDataLens: [PAGES * PAGE_BYTES, PAGES * PAGE_BYTES],
      kvItemLens: [PAGE_BYTES, PAGE_BYTES],
      auxDataPtrs: [address + 2 * PAGES * PAGE_BYTES],
      auxDataLens: [PAGES * PAGE_BYTES],
      auxItemLens: [PAGE_BYTES],
      pageSize: 1,
      attention: "mha" as const,
      kvCacheDtype: "float32",
    };
  };
  const registry = { address: REGISTRY, serve: true };
  const prefill = world.start({ role: "prefill", name: "prefill", args: args(), registry });
  const decode = world.start({ role: "decode", name: "decode", args: args() });
  for (let room = 1; room <= ROOMS; room++) {
    const sender = prefill.manager.createSender({ room });
    const receiver = decode.manager.createReceiver({ room, bootstrapAddr: REGISTRY });
    receiver.init([room % PAGES, (room + 3) % PAGES], 0);
    sender.init(2, 0);
    sender.send([1]);
    sender.send([4]);
    world.simulation.run(() => sender.poll() === KVPoll.Success && receiver.poll() === KVPoll.Success, 1_000);
    sender.clear();
    receiver.clear();
  }
}

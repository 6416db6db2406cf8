import { expect, test } from "bun:test";
import { KVPoll } from "../../../lib/index.ts";
import { LoopbackWorld } from "../../../lib/transports/loopback/index.ts";

const REGISTRY = "registry:1";
const LEASE_MS = 1_000;

test.each([1, 2, 3, 4, 5])(
  "a decode that got no processor for less than half a lease blames nobody for what it did not hear (seed %d)",
  (seed) => {
    const world = new LoopbackWorld({ seed });
    const args = () => {
      const { address } = world.memory.allocate(3 * 512);
      return {
        kvDataPtrs: [address, address + 512],
        kvDataLens: [512, 512],
        kvItemLens: [64, 64],
        auxDataPtrs: [address + 1_024],
        auxDataLens: [512],
        auxItemLens: [64],
        pageSize: 1,
        attention: "mha" as const,
        kvCacheDtype: "float32",
      };
    };
    const timeouts = { leaseMs: LEASE_MS };
    const registry = { address: REGISTRY, serve: true };
    const prefill = world.start({ role: "prefill", name: "prefill", args: args(), registry, timeouts });
    const decode = world.start({ role: "decode", name: "decode", args: args(), timeouts });
    const sender = prefill.manager.createSender({ room: 1 });
    const receiver = decode.manager.createReceiver({ room: 1, bootstrapAddr: REGISTRY });
    receiver.init([3], 0);
    sender.init(1, 0);
    expect(world.simulation.run(() => sender.poll() === KVPoll.WaitingForInput, 100)).toBe(true);

    // Prefill is silent for a while; it goes on, but that is heard only after decode's own pause.
    const elapse = (ms: number): boolean => world.simulation.run(() => false, ms);
    for (let round = 0; round < 3; round++) {
      prefill.process.stop();
      elapse(0.58 * LEASE_MS);
      decode.process.stop();
      prefill.process.resume();
      elapse(0.48 * LEASE_MS);
      decode.process.resume();
      elapse(0.3 * LEASE_MS);
      expect(receiver.failureException()).toBeUndefined();
    }
    // Silence while decode runs is another matter.
    prefill.process.stop();
    elapse(1.2 * LEASE_MS);
    expect(receiver.failureException()).toMatchObject({ code: "PEER_LOST" });
  },
);

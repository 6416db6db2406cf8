import { expect, test } from "bun:test";
import { KVManager } from "../../../lib/index.ts";
import { TestPool } from "../pool.ts";
import { until } from "../process/peer.ts";
import { footprint, growthPerRoom, LIMITS } from "./footprint.ts";
import { HeapProbe } from "./heap-probe.ts";

const WARM_UP = 4_096;
const ROOMS = 8_192;
const AT_ONCE = 32;

test.each(["shm", "tcp"] as const)(
  "%s: rooms that are over leave nothing in memory",
  async (transport) => {
    using pools = new DisposableStack();
    const [source, target] = [pools.use(new TestPool()), pools.use(new TestPool())];
    using probed = new HeapProbe(transport);
    using probing = new HeapProbe(transport);
    const bootstrap = { host: "127.0.0.1", port: 0, serve: true };
    await using prefill = await KVManager.create({ role: "prefill", args: source.args, bootstrap, ...probed.manager });
    await using decode = await KVManager.create({ role: "decode", args: target.args, ...probing.manager });
    let next = 1;

    async function room(slot: number): Promise<void> {
      const number = next++;
      using receiver = decode.createReceiver({ room: number, bootstrapAddr: prefill.bootstrapServer!.address });
      using sender = prefill.createSender({ room: number });
      receiver.init([slot], slot);
      sender.init(1, slot);
      sender.send([slot]);
      await Promise.all([receiver.done, sender.done]);
    }

    async function rooms(count: number): Promise<void> {
      for (let left = count; left > 0; left -= AT_ONCE) {
        await Promise.all(Array.from({ length: AT_ONCE }, (_, slot) => room(slot)));
      }
      await until(
        "no room to be held",
        () => prefill.figures.rooms + decode.figures.rooms,
        (held) => held === 0,
      );
    }

    await rooms(WARM_UP);
    const before = await footprint([probed, probing]);
    await rooms(ROOMS);
    const grown = growthPerRoom(before, await footprint([probed, probing]), ROOMS);
    expect(grown.objects).toBeLessThan(LIMITS.objects);
    expect(grown.bytes).toBeLessThan(LIMITS.bytes);
    expect(grown.nativeBytes).toBeLessThan(LIMITS.nativeBytes);
  },
  60_000,
);

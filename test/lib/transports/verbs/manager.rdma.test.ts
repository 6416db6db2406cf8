import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type KVArgs, KVManager, KVPoll, type KVReceiver, type KVSender } from "../../../../lib/index.ts";
import { describeRdma } from "../../../rxe/describe.ts";
import { TestPool } from "../../pool.ts";
import { until } from "../../process/peer.ts";
import { Random } from "../support/plans.ts";

const POOL = { layers: 2, pages: 256, pageBytes: 4_096, auxSlots: 32, auxBytes: 512 };
const PAGES = 12;

const layouts: Record<string, { readonly args: Partial<KVArgs>; readonly windows: boolean }> = {
  gqa: { args: {}, windows: false },
  "mla, memory windows": { args: { attention: "mla", kvHeadNum: 1, totalKvHeadNum: 1 }, windows: true },
};

interface Room {
  readonly room: number;
  readonly slot: number;
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly sender: KVSender;
  readonly receiver: KVReceiver;
}

describeRdma("two managers over verbs", () => {
  describe.each(Object.keys(layouts))("%s", (layout) => {
    const random = new Random(11);
    const source = new TestPool(POOL);
    const target = new TestPool(POOL);
    let prefill: KVManager;
    let decode: KVManager;
    let next = 1;

    beforeAll(async () => {
      const common = {
        transport: "verbs",
        transportOptions: {
          verbs: { windowBytes: 1_048_576, fenceGraceMs: 10_000, windows: layouts[layout]!.windows },
        },
        // An emulated machine takes long to read the library.
        timeouts: { threadMs: 60_000, connectMs: 60_000 },
      };
      prefill = await KVManager.create({
        ...common,
        role: "prefill",
        args: { ...source.args, ...layouts[layout]!.args },
        bootstrap: { host: "127.0.0.1", port: 0, serve: true },
      });
      decode = await KVManager.create({
        ...common,
        role: "decode",
        args: { ...target.args, ...layouts[layout]!.args },
      });
    }, 120_000);

    afterAll(async () => {
      await decode.close();
      await prefill.close();
      source[Symbol.dispose]();
      target[Symbol.dispose]();
    });

    /** `count` rooms whose pages, on both sides, are fragments of the pool. */
    function openRooms(count: number): Room[] {
      const from = random.shuffled(POOL.pages);
      const to = random.shuffled(POOL.pages);
      return Array.from({ length: count }, (_, slot) => {
        const room = next++;
        const pages = (order: number[]): number[] => order.slice(slot * PAGES, (slot + 1) * PAGES);
        source.fill(room, pages(from), slot);
        const sender = prefill.createSender({ room });
        sender.init(PAGES, slot);
        const receiver = decode.createReceiver({ room, bootstrapAddr: prefill.bootstrapServer!.address });
        receiver.init(pages(to), slot);
        return { room, slot, from: pages(from), to: pages(to), sender, receiver };
      });
    }

    function clear(rooms: readonly Room[]): void {
      for (const { sender, receiver } of rooms) {
        sender.clear();
        receiver.clear();
      }
    }

    test("one room, sent in chunks, has every byte", async () => {
      const [one] = openRooms(1);
      one!.sender.send(one!.from.slice(0, 5));
      one!.sender.send(one!.from.slice(5, 6));
      one!.sender.send(one!.from.slice(6));
      await Promise.all([one!.sender.done, one!.receiver.done]);
      expect(target.holds(one!.room, one!.to, one!.slot)).toBe(true);
      expect(one!.receiver.transferMetric()).toMatchObject({ transport: "verbs" });
      clear([one!]);
    });

    test("20 rooms at once, with fragmented pages on both sides, have every byte", async () => {
      const rooms = openRooms(20);
      for (const { sender, from } of rooms) sender.send(from);
      await Promise.all(rooms.flatMap(({ sender, receiver }) => [sender.done, receiver.done]));
      for (const { room, to, slot } of rooms) expect(target.holds(room, to, slot)).toBe(true);
      clear(rooms);
    });

    test("a room that is aborted in its transfer gives its pages back clean, and those beside it are whole", async () => {
      for (let round = 0; round < 4; round++) {
        const rooms = openRooms(20);
        for (const { sender, from } of rooms) sender.send(from);
        const aborted = rooms.filter((_, index) => index % 2 === round % 2);
        await Bun.sleep(round);
        for (const { receiver } of aborted) receiver.abort("raced");
        await Promise.all(aborted.map(({ receiver }) => receiver.released));
        const failed = aborted.filter(({ receiver }) => receiver.poll() === KVPoll.Failed);
        // Free again: somebody else's from now on.
        for (const { to, slot } of failed) {
          for (const page of to) for (let i = 0; i < target.buffers; i++) target.page(i, page).fill(0xa5);
          target.aux(slot).fill(0xa5);
        }
        const whole = rooms.filter((each) => !failed.includes(each));
        await Promise.all(whole.map(({ receiver }) => receiver.done));
        for (const { room, to, slot } of whole) expect(target.holds(room, to, slot)).toBe(true);
        // A room that was given up before prefill had heard of it is one that prefill still waits for.
        for (const { sender } of aborted) sender.abort("its receiver has gone");
        await Promise.all(rooms.map(({ sender }) => sender.released));
        for (const { to, slot } of failed) {
          const pages = to.flatMap((page) => Array.from({ length: target.buffers }, (_, i) => target.page(i, page)));
          expect([...pages, target.aux(slot)].every((bytes) => bytes.every((byte) => byte === 0xa5))).toBe(true);
        }
        clear(rooms);
      }
    }, 120_000);

    test("rooms that have ended leave nothing in the managers", async () => {
      await until(
        "every slot to be free",
        () => prefill.figures.rooms + decode.figures.rooms,
        (rooms) => rooms === 0,
      );

      expect([prefill.figures.pairs, decode.figures.pairs]).toEqual([1, 1]);
    });
  });
});

import { expect, test } from "bun:test";
import { KVManager, KVPoll, type KVReceiver, type KVSender } from "../../../lib/index.ts";
import { TestPool } from "../pool.ts";
import type { ChildStart } from "./child.ts";
import { Peer, until } from "./peer.ts";

const POOL = { layers: 2, pages: 64, pageBytes: 65_536, auxSlots: 8, auxBytes: 64 };
const HALF = Array.from({ length: 16 }, (_, page) => 2 * page);
const REST = Array.from({ length: 16 }, (_, page) => 2 * page + 1);
const ALL = [...HALF, ...REST];

function ended(handle: KVSender | KVReceiver): boolean {
  return handle.poll() === KVPoll.Failed || handle.poll() === KVPoll.Success;
}

interface State {
  readonly state: KVPoll;
  readonly released: boolean;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface FaultChoices {
  readonly leaseMs: number;
  /** Rooms in a row of the test for leaks. */
  readonly rooms: number;
  /** How long anything may take that is not itself measured; a test takes up to three times that. */
  readonly patienceMs: number;
}

/** What happens to both sides when a process is killed or stopped in mid-transfer; to be called within a describe. */
export function testFaults(transport: string, choices: FaultChoices): void {
  const { leaseMs: LEASE_MS, rooms, patienceMs } = choices;
  const testMs = 3 * patienceMs;
  const prefillChild: ChildStart = { role: "prefill", transport, leaseMs: LEASE_MS, pool: POOL };
  const decodeChild: ChildStart = { role: "decode", transport, leaseMs: LEASE_MS, pool: POOL };
  const options = { transport, timeouts: { leaseMs: LEASE_MS, threadMs: 60_000, connectMs: 60_000 } };

  const soon: typeof until = (what, look, holds) => until(what, look, holds, patienceMs);

  async function completeRoom(
    room: number,
    decode: KVManager,
    pool: TestPool,
    peer: Peer,
    pages = [40, 41],
    slot = 7,
  ): Promise<void> {
    await peer.ask({ do: "open-sender", room, pages: [3, 9], slot: 1 });
    await peer.ask({ do: "send", room, pages: [3, 9] });
    using receiver = decode.createReceiver({ room, bootstrapAddr: peer.address });
    receiver.init(pages, slot);
    await receiver.done;
    expect(pool.holds(room, pages, slot)).toBe(true);
    await peer.ask({ do: "clear", room });
  }

  test(
    "kill -9 of prefill in mid-transfer fails its rooms at once; another prefill's go on, and a restarted one serves",
    async () => {
      using pool = new TestPool(POOL);
      await using decode = await KVManager.create({ role: "decode", args: pool.args, ...options });
      await using other = await Peer.start(prefillChild);
      const victim = await Peer.start(prefillChild);

      await victim.ask({ do: "open-sender", room: 1, pages: ALL, slot: 0 });
      await victim.ask({ do: "send", room: 1, pages: HALF });
      using receiver = decode.createReceiver({ room: 1, bootstrapAddr: victim.address });
      receiver.init(ALL, 0);
      await soon(
        "the first half to land",
        () => pool.holds(1, HALF, 0) || pool.page(0, HALF[15]!).some(Boolean),
        Boolean,
      );
      const port = Number(victim.address.split(":")[1]);
      const killedAt = performance.now();
      await victim.kill();
      await receiver.done.catch(() => undefined);
      await receiver.released;
      expect(performance.now() - killedAt).toBeLessThan(LEASE_MS * 4);
      expect(receiver.poll()).toBe(KVPoll.Failed);
      expect(receiver.failureException()).toMatchObject({ code: "PEER_LOST", room: 1 });
      expect(receiver.failureException()?.peer).toContain("prefill");

      await completeRoom(2, decode, pool, other);
      await using restarted = await Peer.start({ ...prefillChild, port });
      await completeRoom(3, decode, pool, restarted);
    },
    testMs,
  );

  test(
    "kill -9 of decode in mid-transfer fails its rooms at once; the next decode is served",
    async () => {
      using pool = new TestPool(POOL);
      await using prefill = await KVManager.create({
        role: "prefill",
        args: pool.args,
        bootstrap: { host: "127.0.0.1", port: 0, serve: true },
        ...options,
      });
      const addr = prefill.bootstrapServer!.address;
      const victim = await Peer.start(decodeChild);
      using sender = prefill.createSender({ room: 1 });
      pool.fill(1, ALL, 0);
      sender.init(ALL.length, 0);
      sender.send(HALF);
      await victim.ask({ do: "open-receiver", room: 1, addr, pages: ALL, slot: 0 });
      await soon(
        "the transfer to begin",
        () => sender.poll(),
        (state) => state === KVPoll.Transferring,
      );
      await victim.kill();
      await sender.done.catch(() => undefined);
      await sender.released;
      expect(sender.failureException()).toMatchObject({ code: "PEER_LOST", room: 1 });

      await using next = await Peer.start(decodeChild);
      using again = prefill.createSender({ room: 2 });
      pool.fill(2, ALL, 1);
      again.init(ALL.length, 1);
      again.send(ALL);
      await next.ask({ do: "open-receiver", room: 2, addr, pages: ALL, slot: 3 });
      await again.done;
      await soon(
        "decode to see it",
        () => next.ask<State>({ do: "state", room: 2 }),
        ({ state }) => state === KVPoll.Success,
      );
      expect(await next.ask({ do: "holds", room: 2, pages: ALL, slot: 3 })).toEqual({ holds: true });
    },
    testMs,
  );

  test(
    "a prefill that is stopped for two leases and goes on touches no page that was handed back",
    async () => {
      using pool = new TestPool(POOL);
      await using decode = await KVManager.create({ role: "decode", args: pool.args, ...options });
      await using other = await Peer.start(prefillChild);
      await using stopped = await Peer.start(prefillChild);

      for (let round = 0; round < 3; round++) {
        const room = 10 * round + 1;
        await stopped.ask({ do: "open-sender", room, pages: ALL, slot: 0 });
        using receiver = decode.createReceiver({ room, bootstrapAddr: stopped.address });
        receiver.init(ALL, 0);
        await stopped.ask({ do: "send", room, pages: HALF });
        // The rest is written, or about to be, when the process stops.
        void stopped.ask({ do: "send", room, pages: REST });
        await soon("the transfer to begin", () => pool.page(0, HALF[0]!).some(Boolean), Boolean);
        stopped.signal("SIGSTOP");
        await until("the room to end", () => ended(receiver), Boolean, 4 * LEASE_MS + patienceMs);
        const failed = receiver.poll() === KVPoll.Failed;
        if (failed) expect(receiver.failureException()?.code).toBe("PEER_LOST");
        // Two leases in which another prefill's rooms use what is free.
        const resumeAt = performance.now() + 2 * LEASE_MS;
        for (let next = 2; performance.now() < resumeAt; next++) {
          await completeRoom(room + next * 1_000, decode, pool, other);
        }
        if (!receiver.isReleased) stopped.signal("SIGCONT");
        await receiver.released;
        for (const page of ALL)
          for (let buffer = 0; buffer < pool.buffers; buffer++) pool.page(buffer, page).fill(0xa5);
        pool.aux(0).fill(0xa5);
        stopped.signal("SIGCONT");
        // It has done all it was going to do when it has served another room.
        await completeRoom(room + 1, decode, pool, stopped);
        const foreign = ALL.flatMap((page) =>
          Array.from({ length: pool.buffers }, (_, buffer) => pool.page(buffer, page)).filter((bytes) =>
            bytes.some((byte) => byte !== 0xa5),
          ),
        );
        expect(foreign).toHaveLength(0);
        expect(pool.aux(0).every((byte) => byte === 0xa5)).toBe(true);
        await stopped.ask({ do: "clear", room });
      }
    },
    testMs,
  );

  test(
    `${rooms} rooms in a row leave no slot, pair, memory or descriptor behind`,
    async () => {
      using pool = new TestPool(POOL);
      await using decode = await KVManager.create({ role: "decode", args: pool.args, ...options });
      await using peer = await Peer.start(prefillChild);
      const descriptors = (): number =>
        [...new Bun.Glob("*").scanSync({ cwd: "/proc/self/fd", onlyFiles: false })].length;
      for (let room = 1; room <= 20; room++) await completeRoom(room, decode, pool, peer);
      const before = { ...decode.figures, descriptors: descriptors() };
      for (let room = 100; room < 80 + rooms; room++) await completeRoom(room, decode, pool, peer);
      await soon(
        "slots to be free",
        () => decode.figures.rooms,
        (rooms) => rooms === 0,
      );
      expect({ ...decode.figures, descriptors: descriptors() }).toEqual({ ...before, rooms: 0 });
    },
    testMs,
  );
}

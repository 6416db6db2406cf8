import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { curveKeypair } from "../../ffi/zmq/index.ts";
import { KVBootstrapServer, KVManager, KVPoll, type KVReceiver, type KVSender } from "../../lib/index.ts";
import { TestPool } from "./pool.ts";
import { until } from "./process/peer.ts";

const LIMIT_MS = 60_000;
const local = { host: "127.0.0.1", port: 0, serve: true };

/** Both halves in this process, over `transport`. */
async function pair(transport = "auto", more: object = {}) {
  const stack = new AsyncDisposableStack();
  const source = stack.use(new TestPool());
  const destination = stack.use(new TestPool());
  const prefill = stack.use(
    await KVManager.create({ role: "prefill", args: source.args, bootstrap: local, transport, ...more }),
  );
  const decode = stack.use(await KVManager.create({ role: "decode", args: destination.args, transport, ...more }));
  const address = prefill.bootstrapServer!.address;
  return { source, destination, prefill, decode, address, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("a pair of managers", () => {
  let both: Awaited<ReturnType<typeof pair>>;
  let nextRoom = 1;
  beforeAll(async () => void (both = await pair()), LIMIT_MS);
  afterAll(() => both[Symbol.asyncDispose](), LIMIT_MS);

  function open(room = nextRoom++): { room: number; sender: KVSender; receiver: KVReceiver } {
    const sender = both.prefill.createSender({ room });
    return { room, sender, receiver: both.decode.createReceiver({ room, bootstrapAddr: both.address }) };
  }

  test("auto takes shared memory and says what was moved", async () => {
    const { room, sender, receiver } = open();
    both.source.fill(room, [3, 9, 4], 2);
    receiver.init([10, 30, 20], 5);
    sender.init(3, 2);
    sender.send([3]);
    sender.send([9, 4]);
    await Promise.all([sender.done, receiver.done, sender.released, receiver.released]);
    expect(both.destination.holds(room, [10, 30, 20], 5)).toBe(true);
    expect(receiver.poll()).toBe(KVPoll.Success);
    const bytes = 3 * 4 * 4_096 + 256;
    expect(receiver.transferMetric()).toMatchObject({ transport: "shm", transferTotalBytes: bytes });
    expect(sender.transferMetric()).toMatchObject({ transport: "shm", transferTotalBytes: bytes });
    expect(receiver.transferMetric().transferLatencyS).toBeGreaterThan(0);
    sender.clear();
    receiver.clear();
    expect(receiver.poll()).toBe(KVPoll.Success);
    expect(receiver.transferMetric()).toMatchObject({ transport: "shm", transferTotalBytes: bytes });
  });

  test("no page is legal: then the aux slot travels alone", async () => {
    const { room, sender, receiver } = open();
    both.source.fill(room, [], 1);
    receiver.init([], 6);
    sender.init(0, 1);
    sender.send([]);
    await Promise.all([sender.done, receiver.done]);
    expect(both.destination.holds(room, [], 6)).toBe(true);
    sender.clear();
    receiver.clear();
  });

  test("decode may come first or last, and its prefix is told to prefill", async () => {
    const room = nextRoom++;
    const receiver = both.decode.createReceiver({ room, bootstrapAddr: both.address });
    receiver.init([8], 0, { decodePrefixTokens: 32 });
    await until(
      "the room to be announced",
      () => receiver.poll(),
      (state) => state === KVPoll.Transferring,
    );
    const sender = both.prefill.createSender({ room });
    expect(sender.popDecodePrefixLen() ?? 32).toBe(32);
    await sender.known();
    expect(sender.poll()).toBe(KVPoll.WaitingForInput);
    expect(sender.popDecodePrefixLen()).toBe(32);
    sender.init(1, 0);
    sender.send([1]);
    await receiver.done;
    sender.clear();
    receiver.clear();
  });

  test("an abort on either side ends both, with the reason, and a late half is told at once", async () => {
    const first = open();
    first.receiver.init([1], 0);
    await first.sender.known();
    first.sender.abort("the client has left");
    expect(await first.receiver.done.catch((error: unknown) => error)).toMatchObject({
      code: "PEER_FAILED",
      room: first.room,
      message: "the client has left",
    });
    await first.receiver.released;

    const second = open();
    second.receiver.init([1], 0);
    await second.sender.known();
    second.receiver.abort("no memory");
    expect(await second.sender.done.catch((error: unknown) => error)).toMatchObject({
      code: "ABORTED",
      room: second.room,
    });
    expect(second.receiver.failureException()).toMatchObject({ code: "ABORTED", message: "no memory" });

    await second.receiver.released;

    const late = both.prefill.createSender({ room: nextRoom });
    late.abort();
    await late.done.catch(() => undefined);
    late.clear();
    const receiver = both.decode.createReceiver({ room: nextRoom++, bootstrapAddr: both.address });
    receiver.init([1], 0);
    expect(await receiver.done.catch((error: unknown) => error)).toMatchObject({ code: "PEER_FAILED" });
    await receiver.released;
    for (const room of [first.sender, first.receiver, second.sender, second.receiver, receiver]) room.clear();
  });

  test("a sender whose decode gave up before it came is told at once", async () => {
    const room = nextRoom++;
    const receiver = both.decode.createReceiver({ room, bootstrapAddr: both.address });
    receiver.init([14], 9);
    await until(
      "the room to be announced",
      () => both.prefill.figures.earlyRooms,
      (rooms) => rooms === 1,
    );
    receiver.abort("the client has left");
    await until(
      "prefill to hear of it",
      () => both.prefill.figures.earlyRooms,
      (rooms) => rooms === 0,
    );
    const sender = both.prefill.createSender({ room });
    expect(await sender.done.catch((error: unknown) => error)).toMatchObject({ code: "ABORTED", room });
    await receiver.released;
    sender.clear();
    receiver.clear();
  });

  test("sides that disagree on the number of pages both fail, and say so", async () => {
    const { sender, receiver } = open();
    receiver.init([1, 2], 0);
    sender.init(1, 0);
    sender.send([1]);
    const why = "prefill has 1 pages for the room, decode made room for 2";
    expect(await sender.done.catch((error: unknown) => error)).toMatchObject({ code: "REJECTED", message: why });
    expect(await receiver.done.catch((error: unknown) => error)).toMatchObject({ code: "REJECTED", message: why });
    await receiver.released;
    sender.clear();
    receiver.clear();
  });

  test("pages that another room has not given back are refused, not written twice", async () => {
    const [first, second] = [open(), open()];
    first.receiver.init([11, 12], 7);
    await first.sender.known();
    second.receiver.init([13, 12], 8);
    const why = "page 12 is lent to another room, which has not been released yet";
    expect(await second.receiver.done.catch((error: unknown) => error)).toMatchObject({
      code: "REJECTED",
      message: why,
    });
    const third = both.decode.createReceiver({ room: nextRoom++, bootstrapAddr: both.address });
    third.init([13], 7);
    expect(await third.done.catch((error: unknown) => error)).toMatchObject({
      message: expect.stringContaining("aux slot 7"),
    });
    first.sender.init(2, 0);
    first.sender.send([1, 2]);
    await first.receiver.done;
    for (const room of [first.sender, first.receiver, second.sender, second.receiver, third]) room.clear();
  });

  test("SGLang's fake peer goes through the states", async () => {
    const sender = both.prefill.createSender({ room: 0, bootstrapAddr: "2.2.2.2:8998" });
    const receiver = both.decode.createReceiver({ room: 0, bootstrapAddr: "2.2.2.2:8998" });
    await Promise.all([sender.known(), receiver.known()]);
    expect([sender.poll(), receiver.poll()]).toEqual([KVPoll.WaitingForInput, KVPoll.WaitingForInput]);
    sender.init(2, 0);
    sender.send([1, 2]);
    receiver.init([1, 2], 0);
    await Promise.all([sender.done, receiver.done]);
    sender.clear();
    receiver.clear();
  });

  test("calls that cannot be right throw typed errors and change nothing", async () => {
    const { room, sender, receiver } = open();
    const refuses = (call: () => unknown, code: string, text: string): void => {
      expect(call).toThrow(
        expect.objectContaining({ name: "KVUserError", code, message: expect.stringContaining(text) }),
      );
    };
    refuses(() => both.prefill.createSender({ room }), "ROOM_EXISTS", `room ${room} is live already`);
    refuses(() => both.prefill.createSender({ room: -1 }), "BAD_ARGUMENT", "from 0 to 2^53-1, not -1");
    refuses(() => both.prefill.createSender({ room: 2 ** 53 }), "BAD_ARGUMENT", "not 9007199254740992");
    refuses(
      () => both.prefill.createReceiver({ room: 999, bootstrapAddr: both.address }),
      "WRONG_STATE",
      "this is a prefill manager",
    );
    refuses(
      () => both.decode.createReceiver({ room: 999, bootstrapAddr: "nowhere" }),
      "BAD_ARGUMENT",
      'host:port, not "nowhere"',
    );
    refuses(() => sender.send([1]), "WRONG_STATE", "call init first");
    refuses(() => sender.init(65, 0), "BAD_ARGUMENT", "from 0 to the pool's 64, not 65");
    refuses(() => sender.init(1, 64), "BAD_ARGUMENT", "aux slot 64 is not one of the 64");
    refuses(() => receiver.init([64], 0), "BAD_ARGUMENT", "page 64 (at 0) is not one of the pool's 64");
    refuses(() => receiver.init([1.5], 0), "BAD_ARGUMENT", "page 1.5 (at 0)");
    refuses(() => receiver.init([2, 2], 0), "BAD_ARGUMENT", "named twice");
    sender.init(1, 0);
    refuses(() => sender.init(1, 0), "WRONG_STATE", "called twice");
    refuses(() => sender.send([1, 2]), "BAD_ARGUMENT", "0 + 2 pages, but init said 1");
    receiver.init([3], 0);
    sender.send([1]);
    refuses(() => sender.send([]), "WRONG_STATE", "all 1 pages were given");
    await Promise.all([sender.done, receiver.done]);
    sender.clear();
    sender.clear();
    refuses(() => sender.init(1, 0), "CLOSED", "the room was cleared");
    receiver.clear();
  });
});

test(
  "a registry that is not there is REGISTRY_LOST at the lease",
  async () => {
    using pool = new TestPool();
    await using decode = await KVManager.create({ role: "decode", args: pool.args, timeouts: { leaseMs: 300 } });
    const receiver = decode.createReceiver({ room: 1, bootstrapAddr: "127.0.0.1:1" });
    expect(await receiver.done.catch((error: unknown) => error)).toMatchObject({
      code: "REGISTRY_LOST",
      peer: "registry 127.0.0.1:1",
    });
    await receiver.released;
  },
  LIMIT_MS,
);

test(
  "rooms of a connected pair go on while their registry is dead, and new ones when it is back",
  async () => {
    const server = await KVBootstrapServer.start({ host: "127.0.0.1", port: 0, leaseMs: 400 });
    const bootstrap = { host: "127.0.0.1", port: server.port };
    const timeouts = { leaseMs: 400 };
    using source = new TestPool();
    using destination = new TestPool();
    await using prefill = await KVManager.create({ role: "prefill", args: source.args, bootstrap, timeouts });
    await using decode = await KVManager.create({ role: "decode", args: destination.args, timeouts });
    const bootstrapAddr = server.address;
    const run = async (room: number, during: () => Promise<unknown> = () => Promise.resolve()): Promise<void> => {
      using sender = prefill.createSender({ room });
      using receiver = decode.createReceiver({ room, bootstrapAddr });
      receiver.init([room], 0);
      source.fill(room, [1], 0);
      sender.init(1, 0);
      await sender.known();
      await during();
      sender.send([1]);
      await Promise.all([sender.done, receiver.done]);
      expect(destination.holds(room, [room], 0)).toBe(true);
    };
    await run(1);
    await run(2, async () => {
      await server.close();
      await Bun.sleep(1_000); // Longer than the lease: that is what is tested.
    });
    await using restarted = await KVBootstrapServer.start({ host: "127.0.0.1", port: bootstrap.port, leaseMs: 400 });
    await until(
      "both to register again",
      () => restarted.memberCount,
      (count) => count === 2,
    );
    await run(3);
  },
  LIMIT_MS,
);

test(
  "with CURVE and a token only who has them is let in",
  async () => {
    const server = curveKeypair();
    const client = curveKeypair();
    const curve = {
      serverKey: server.publicKey,
      publicKey: client.publicKey,
      secretKey: client.secretKey,
      serverSecretKey: server.secretKey,
    };
    const secured = await pair("tcp", { curve, token: "s3cret", timeouts: { leaseMs: 1_000 } });
    await using _ = secured;
    using sender = secured.prefill.createSender({ room: 1 });
    using receiver = secured.decode.createReceiver({ room: 1, bootstrapAddr: secured.address });
    receiver.init([1], 0);
    sender.init(1, 0);
    sender.send([2]);
    await receiver.done;

    using pool = new TestPool();
    await using stranger = await KVManager.create({ role: "decode", args: pool.args, timeouts: { leaseMs: 400 } });
    const plain = stranger.createReceiver({ room: 2, bootstrapAddr: secured.address });
    expect(await plain.done.catch((error: unknown) => error)).toMatchObject({ code: "REGISTRY_LOST" });

    await using guesser = await KVManager.create({
      role: "decode",
      args: pool.args,
      curve,
      token: "guess",
      timeouts: { bootstrapMs: 700 },
    });
    const guessed = guesser.createReceiver({ room: 3, bootstrapAddr: secured.address });
    expect(await guessed.done.catch((error: unknown) => error)).toMatchObject({
      code: "DEADLINE",
      message: expect.stringContaining("BAD_TOKEN"),
    });
  },
  LIMIT_MS,
);

test(
  "layouts that do not fit are refused before the pair connects, and the sender is told, whether it has come or not",
  async () => {
    using source = new TestPool({ pageBytes: 4_096 });
    using destination = new TestPool({ pageBytes: 8_192 });
    await using prefill = await KVManager.create({ role: "prefill", args: source.args, bootstrap: local });
    await using decode = await KVManager.create({ role: "decode", args: destination.args });
    const bootstrapAddr = prefill.bootstrapServer!.address;
    const mismatch = { code: "LAYOUT_MISMATCH", message: expect.stringContaining("bytes per token and head") };
    const waiting = prefill.createSender({ room: 1 });
    const receiver = decode.createReceiver({ room: 1, bootstrapAddr });
    for (const { done } of [receiver, waiting]) {
      expect(await done.catch((error: unknown) => error)).toMatchObject({ ...mismatch, room: 1 });
    }
    await waiting.released;

    const early = decode.createReceiver({ room: 2, bootstrapAddr });
    // What is told of room 3 comes behind what is told of room 2.
    const behind = prefill.createSender({ room: 3 });
    await early.done.catch(() => undefined);
    decode.createReceiver({ room: 3, bootstrapAddr });
    await behind.done.catch(() => undefined);
    const late = prefill.createSender({ room: 2 });
    expect(await late.done.catch((error: unknown) => error)).toMatchObject({ ...mismatch, room: 2 });
  },
  LIMIT_MS,
);

test.each([
  [{ transport: "carrier-pigeon" }, "BAD_ARGUMENT", 'transport "carrier-pigeon": expected auto, cuda-ipc, shm'],
  [{ transport: [] }, "BAD_ARGUMENT", "no transport is named"],
  [{ role: "decode", bootstrap: local }, "BAD_ARGUMENT", "takes no bootstrap"],
  [{ role: "prefill" }, "BAD_ARGUMENT", "needs bootstrap { host, port }"],
  [{ maxRooms: 100_000 }, "BAD_ARGUMENT", "maxRooms must be an integer from 1 to 65535"],
  [{ timeouts: { leaseMs: 0 } }, "BAD_ARGUMENT", "leaseMs"],
  [{ unknownOption: 1 }, "BAD_ARGUMENT", "unknownOption"],
  [{ args: { kvItemLens: [1] } }, "BAD_ARGUMENT", "must have one entry per buffer"],
] as [Record<string, unknown>, string, string][])("options %j are refused", async (wrong, code, text) => {
  using pool = new TestPool();
  const { args, ...rest } = wrong;
  const options = { role: "decode" as const, args: { ...pool.args, ...(args as object) }, ...rest };
  const error: unknown = await KVManager.create(options).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: "KVUserError", code, message: expect.stringContaining(text) });
});

test(
  "a registry's port in use, and a full room table, are typed errors",
  async () => {
    using pool = new TestPool();
    await using server = await KVBootstrapServer.start({ host: "127.0.0.1", port: 0 });
    const bootstrap = { host: "127.0.0.1", port: server.port, serve: true };
    const error: unknown = await KVManager.create({ role: "prefill", args: pool.args, bootstrap }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "NATIVE", status: "EADDRINUSE", step: "bind" });

    await using decode = await KVManager.create({ role: "decode", args: pool.args, maxRooms: 1 });
    using _ = decode.createReceiver({ room: 1, bootstrapAddr: "127.0.0.1:1" });
    expect(() => decode.createReceiver({ room: 2, bootstrapAddr: "127.0.0.1:1" })).toThrow(
      expect.objectContaining({ code: "ROOM_TABLE_FULL" }),
    );
  },
  LIMIT_MS,
);

test(
  "closing fails what is open, twice does no harm, and afterwards no room can be made",
  async () => {
    const both = await pair();
    const receiver = both.decode.createReceiver({ room: 1, bootstrapAddr: both.address });
    await both.decode.close();
    await both.decode.close();
    expect(receiver.failureException()).toMatchObject({ code: "ABORTED", message: "the manager was closed" });
    expect(() => both.decode.createReceiver({ room: 2, bootstrapAddr: both.address })).toThrow(
      expect.objectContaining({ code: "CLOSED" }),
    );
    await both[Symbol.asyncDispose]();
  },
  LIMIT_MS,
);

test(
  "a script that awaits a room stays alive until it has ended, and ends when none is open",
  async () => {
    const script = `
    import { KVManager } from ${JSON.stringify(`${import.meta.dir}/../../lib/index.ts`)};
    import { TestPool } from ${JSON.stringify(`${import.meta.dir}/pool.ts`)};
    const a = new TestPool(), b = new TestPool();
    const prefill = await KVManager.create({ role: "prefill", args: a.args, bootstrap: ${JSON.stringify(local)} });
    const decode = await KVManager.create({ role: "decode", args: b.args });
    const sender = prefill.createSender({ room: 1 });
    const receiver = decode.createReceiver({ room: 1, bootstrapAddr: prefill.bootstrapServer.address });
    receiver.init([1], 0); sender.init(1, 0); sender.send([1]);
    await receiver.done;
    console.log("done", receiver.poll());`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
    const [out, errors, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    expect({ out, errors, code }).toEqual({ out: "done 4\n", errors: "", code: 0 });
  },
  LIMIT_MS,
);

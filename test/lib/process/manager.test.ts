import { expect, test } from "bun:test";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { KVManager, KVPoll, KVTransferError } from "../../../lib/index.ts";
import { TestPool } from "../pool.ts";
import { until } from "./peer.ts";

const bootstrap = { host: "127.0.0.1", port: 0, serve: true } as const;

test("a registry's address that cannot be dialled fails its own room and no other", async () => {
  using pool = new TestPool();
  using source = new TestPool();
  await using prefill = await KVManager.create({ role: "prefill", args: source.args, bootstrap, transport: "shm" });
  await using decode = await KVManager.create({ role: "decode", args: pool.args, transport: "shm" });
  using good = decode.createReceiver({ room: 1, bootstrapAddr: prefill.bootstrapServer!.address });
  good.init([4], 0);
  using bad = decode.createReceiver({ room: 2, bootstrapAddr: "not a host:8998" });
  const error = await bad.done.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(KVTransferError);
  expect(error).toMatchObject({ code: "NATIVE", status: "EINVAL", room: 2, peer: "registry not a host:8998" });
  await bad.released;

  using sender = prefill.createSender({ room: 1 });
  source.fill(1, [7], 3);
  sender.init(1, 3);
  sender.send([7]);
  await Promise.all([good.done, sender.done]);
  expect(pool.holds(1, [4], 0)).toBe(true);
}, 30_000);

test("two instances that call themselves the same, behind two registries, keep a pair each", async () => {
  using pool = new TestPool();
  using source = new TestPool();
  const start = () => KVManager.create({ role: "prefill", args: source.args, bootstrap, transport: "shm" });
  await using one = await start();
  await using two = await start();
  await using decode = await KVManager.create({ role: "decode", args: pool.args, transport: "shm" });
  for (let room = 1; room <= 20; room++) {
    const prefill = room % 2 === 0 ? one : two;
    using sender = prefill.createSender({ room });
    using receiver = decode.createReceiver({ room, bootstrapAddr: prefill.bootstrapServer!.address });
    source.fill(room, [5], 0);
    sender.init(1, 0);
    sender.send([5]);
    receiver.init([room], 1);
    await Promise.all([sender.done, receiver.done]);
    expect(pool.holds(room, [room], 1)).toBe(true);
    expect(decode.figures.pairs).toBe(Math.min(room, 2));
  }
  expect([one.figures.pairs, two.figures.pairs]).toEqual([1, 1]);
}, 30_000);

test("when the progress thread dies, every room fails with the cause, also those opened afterwards", async () => {
  using pool = new TestPool();
  const transport = `${import.meta.dir}/broken-transport.ts`;
  const decode = await KVManager.create({ role: "decode", args: pool.args, transport });
  using early = decode.createReceiver({ room: 1, bootstrapAddr: "127.0.0.1:9" });
  const first = await early.done.catch((thrown: unknown) => thrown);
  expect(first).toMatchObject({ code: "INTERNAL", room: 1 });
  using late = decode.createReceiver({ room: 2, bootstrapAddr: "127.0.0.1:9" });
  const second = await late.done.catch((thrown: unknown) => thrown);
  expect(second).toMatchObject({ code: "INTERNAL", room: 2 });
  expect(late.poll()).toBe(KVPoll.Failed);
  await Promise.all([early.released, late.released]);
  await decode.close();
}, 30_000);

test("closing a manager ends the rooms of SGLang's fake peer too", async () => {
  using pool = new TestPool();
  const decode = await KVManager.create({ role: "decode", args: pool.args, transport: "tcp" });
  using fake = decode.createReceiver({ room: 1, bootstrapAddr: "2.2.2.2:8998" });
  await fake.known();
  await decode.close();
  await expect(fake.done).rejects.toMatchObject({ code: "ABORTED" });
}, 30_000);

test("what a manager rehearses before its first room is gone when it has started", async () => {
  const descriptors = (): string[] =>
    readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        // The one that the folder itself was read with.
        return [];
      }
    });
  using pool = new TestPool();
  await using prefill = await KVManager.create({ role: "prefill", args: pool.args, bootstrap, transport: "shm,tcp" });
  // Its thread has let go of them once it is where real rooms are: at the real registry.
  await until(
    "the manager to join its registry",
    () => prefill.bootstrapServer!.memberCount,
    (members) => members === 1,
  );
  expect(descriptors().filter((what) => what.includes("kvwire-rehearsal"))).toEqual([]);
  expect(prefill.figures).toEqual({ rooms: 0, pairs: 0, queuePairs: 0, links: 1, earlyRooms: 0 });
  expect(readFileSync("/proc/self/maps", "utf8")).not.toContain("kvwire-rehearsal");
}, 30_000);

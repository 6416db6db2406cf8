/** One manager over verbs, as the process that {@link HostCommand}s drive. */
import { readdirSync } from "node:fs";
import { KVManager, KVPoll, type KVReceiver, type KVSender } from "../../../../../lib/index.ts";
import { TestPool } from "../../../pool.ts";
import { type HostCommand, type HostStart, pagesOf, POOL, type Settled } from "./commands.ts";

const OWN = 0xa5;

const start = JSON.parse(process.argv[2]!) as HostStart;
const pool = new TestPool(POOL);
const manager = await KVManager.create({
  role: start.role,
  args: pool.args,
  transport: "verbs",
  // An emulated machine may be away for a second: 7 retries of 0.5 s.
  transportOptions: { verbs: { windowBytes: 1_048_576, timeout: 17, ...start.verbs } },
  timeouts: { leaseMs: start.leaseMs, threadMs: 90_000, connectMs: 60_000 },
  ...(start.role === "prefill" ? { bootstrap: { host: start.host, port: 0, serve: true } } : {}),
});
const rooms = new Map<number, KVSender | KVReceiver>();

const numbers = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i);

async function obey(command: HostCommand): Promise<object> {
  switch (command.do) {
    case "open":
      for (const [place, room] of numbers(command.first, command.count).entries()) open(room, place, command.addr);
      return {};
    case "abort":
      await Promise.all(
        numbers(command.first, command.count).map(async (room, place) => {
          const receiver = rooms.get(room)!;
          await Bun.sleep((command.withinMs * place) / command.count);
          receiver.abort("raced");
          await receiver.released;
          if (receiver.poll() === KVPoll.Failed) for (const bytes of bytesOf(place)) bytes.fill(OWN);
        }),
      );
      return {};
    case "settle":
      return await settle(command.first, command.count, command.limitMs);
    case "foreign": {
      const failed = [...numbers(command.first, command.count).entries()].filter(
        ([, room]) => rooms.get(room)!.poll() === KVPoll.Failed,
      );
      const foreign = failed.filter(([place]) => bytesOf(place).some((bytes) => bytes.some((byte) => byte !== OWN)));
      return { failed: failed.length, foreign: foreign.length };
    }
    case "clear":
      for (const room of numbers(command.first, command.count)) {
        rooms.get(room)?.clear();
        rooms.delete(room);
      }
      return {};
    case "begun":
      return { begun: rooms.get(command.first)!.poll() !== KVPoll.Bootstrapping };
    case "figures":
      return { ...manager.figures, descriptors: readdirSync("/proc/self/fd").length, rss: process.memoryUsage().rss };
  }
}

function open(room: number, place: number, addr: string | undefined): void {
  const pages = pagesOf(start.role, place);
  if (start.role === "prefill") {
    const sender = manager.createSender({ room });
    rooms.set(room, sender);
    pool.fill(room, pages, place);
    sender.init(pages.length, place);
    sender.send(pages);
  } else {
    const receiver = manager.createReceiver({ room, bootstrapAddr: addr! });
    rooms.set(room, receiver);
    receiver.init(pages, place);
  }
}

function bytesOf(place: number): Uint8Array[] {
  const pages = pagesOf("decode", place).flatMap((page) => [pool.page(0, page), pool.page(1, page)]);
  return [...pages, pool.aux(place)];
}

async function settle(first: number, count: number, limitMs: number): Promise<Settled> {
  const all = numbers(first, count).map((room) => rooms.get(room)!);
  const ended = Promise.all(
    all.map(async (room) => {
      await room.done.catch(() => undefined);
      await room.released;
    }),
  );
  await Promise.race([ended, Bun.sleep(limitMs)]);
  if (start.role === "prefill") {
    for (const room of all) if (room.poll() === KVPoll.Bootstrapping) room.abort("never asked for");
    await Promise.race([ended, Bun.sleep(5_000)]);
  }
  const failed: Record<string, number> = {};
  let [succeeded, wrong, unreleased] = [0, 0, 0];
  let reason: string | undefined;
  for (const [place, room] of all.entries()) {
    if (!room.isReleased) unreleased++;
    if (room.poll() === KVPoll.Success) {
      succeeded++;
      if (start.role === "decode" && !pool.holds(first + place, pagesOf("decode", place), place)) wrong++;
    } else {
      const error = room.failureException();
      const code = error?.code ?? "UNFINISHED";
      reason ??= error?.message;
      failed[code] = (failed[code] ?? 0) + 1;
    }
  }
  return { succeeded, wrong, unreleased, failed, ...(reason !== undefined && { reason }) };
}

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

answer({ address: manager.bootstrapServer?.address });
for await (const line of console) answer(await obey(JSON.parse(line) as HostCommand));

/**
 * A process with one manager and a pool, which does what its parent writes to its standard input: one JSON command a
 * line, one JSON answer a line. The other half of the tests that kill and stop processes.
 */
import { KVManager, type KVReceiver, type KVSender } from "../../../lib/index.ts";
import { controlStandIn } from "../../cuda/stand-in/build.ts";
import { GpuPool, type GpuPoolOptions } from "../gpu-pool.ts";
import { type PoolOptions, TestPool } from "../pool.ts";

export interface ChildStart {
  readonly role: "prefill" | "decode";
  readonly transport: string;
  readonly leaseMs: number;
  readonly pool: PoolOptions;
  /** The pool is in the memory of a GPU, or of the stand-in for one. */
  readonly gpu?: GpuPoolOptions;
  readonly transportOptions?: Record<string, Record<string, unknown>>;
  /** Prefill: the registry's port, 0 for any. */
  readonly port?: number;
}

export type ChildCommand =
  | { readonly do: "open-sender"; readonly room: number; readonly pages: readonly number[]; readonly slot: number }
  | { readonly do: "send"; readonly room: number; readonly pages: readonly number[] }
  | {
      readonly do: "open-receiver";
      readonly room: number;
      readonly addr: string;
      readonly pages: readonly number[];
      readonly slot: number;
    }
  | { readonly do: "state"; readonly room: number }
  | { readonly do: "holds"; readonly room: number; readonly pages: readonly number[]; readonly slot: number }
  | { readonly do: "clear"; readonly room: number }
  /** Rooms of one page, one after the other, each to its end. */
  | { readonly do: "many"; readonly from: number; readonly to: number; readonly addr: string }
  | { readonly do: "figures" }
  /** Frees the device memory of the pool behind everybody's back. */
  | { readonly do: "free" }
  /** What the stand-in counts as alive in this process. */
  | { readonly do: "alive" }
  | { readonly do: "close" };

const start = JSON.parse(process.argv[2]!) as ChildStart;
const pool = start.gpu ? new GpuPool(start.pool, start.gpu) : new TestPool(start.pool);
const manager = await KVManager.create({
  role: start.role,
  args: pool.args,
  transport: start.transport,
  // An emulated machine takes long to read the library.
  timeouts: { leaseMs: start.leaseMs, threadMs: 60_000, connectMs: 60_000 },
  ...(start.transportOptions ? { transportOptions: start.transportOptions } : {}),
  ...(start.role === "prefill" ? { bootstrap: { host: "127.0.0.1", port: start.port ?? 0, serve: true } } : {}),
});
const rooms = new Map<number, KVSender | KVReceiver>();

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function oneOfMany(room: number, bootstrapAddr: string): Promise<void> {
  if (start.role === "prefill") {
    using sender = manager.createSender({ room });
    sender.init(1, room % 8);
    sender.send([3]);
    await sender.done;
  } else {
    using receiver = manager.createReceiver({ room, bootstrapAddr });
    receiver.init([5], room % 8);
    await receiver.done;
  }
}

async function obey(command: ChildCommand): Promise<object> {
  switch (command.do) {
    case "open-sender": {
      const sender = manager.createSender({ room: command.room });
      rooms.set(command.room, sender);
      pool.fill(command.room, command.pages, command.slot);
      sender.init(command.pages.length, command.slot);
      return {};
    }
    case "send":
      (rooms.get(command.room) as KVSender).send(command.pages);
      return {};
    case "open-receiver": {
      const receiver = manager.createReceiver({ room: command.room, bootstrapAddr: command.addr });
      rooms.set(command.room, receiver);
      receiver.init(command.pages, command.slot);
      return {};
    }
    case "many":
      for (let room = command.from; room <= command.to; room++) await oneOfMany(room, command.addr);
      return {};
    case "state": {
      const room = rooms.get(command.room)!;
      return {
        state: room.poll(),
        released: room.isReleased,
        error: room.failureException()?.toRecord(),
        transport: room.transferMetric().transport,
      };
    }
    case "holds":
      return { holds: pool.holds(command.room, command.pages, command.slot) };
    case "clear":
      rooms.get(command.room)?.clear();
      rooms.delete(command.room);
      return {};
    case "figures":
      return { figures: manager.figures };
    case "free":
      (pool as GpuPool).free();
      return {};
    case "alive":
      return controlStandIn(process.env["KVWIRE_CUDART"]!).alive();
    case "close":
      await manager.close();
      return {};
  }
}

answer({
  address: manager.bootstrapServer?.address,
  transports: manager.transports,
  unusable: manager.unusableTransports,
});
for await (const line of console) {
  const command = JSON.parse(line) as ChildCommand;
  answer(await obey(command));
  if (command.do === "close") process.exit(0);
}

/**
 * One half of a pair in a process of its own: a manager with a pool on a GPU, which does what its parent asks over
 * Bun's IPC channel. `peer.ts` with a {@link PeerStart} as JSON.
 */
import { KVManager, KVPoll } from "../../lib/index.ts";
import { BenchPool } from "./gpu-pool.ts";
import type { PoolShape } from "./shapes.ts";

export interface PeerStart {
  readonly role: "prefill" | "decode";
  readonly gpu: number;
  readonly shape: PoolShape;
  readonly pages: number;
  readonly options: Record<string, unknown>;
}

export type PeerCommand =
  | { readonly do: "randomize" | "zero" }
  | { readonly do: "checksum"; readonly pages: readonly number[] }
  /** Prefill: offers the pages of a room. */
  | { readonly do: "offer"; readonly room: number; readonly pages: readonly number[] }
  /** Prefill: seconds from both sides' being ready to the end of a room. */
  | { readonly do: "latency"; readonly room: number }
  /** Decode: takes a room; seconds from its creation to its success. */
  | { readonly do: "take"; readonly room: number; readonly pages: readonly number[]; readonly address: string };

const { role, gpu, shape, pages, options } = JSON.parse(process.argv[2]!) as PeerStart;
const pool = new BenchPool(gpu, shape, pages);
const manager = await KVManager.create({
  role,
  args: pool.args,
  transport: "cuda-ipc",
  transportOptions: { "cuda-ipc": options },
  ...(role === "prefill" ? { bootstrap: { host: "127.0.0.1", port: 0, serve: true } } : {}),
});
const senders = new Map<number, ReturnType<KVManager["createSender"]>>();

async function obey(command: PeerCommand): Promise<object> {
  switch (command.do) {
    case "randomize":
      pool.randomize();
      return {};
    case "zero":
      pool.zero();
      return {};
    case "checksum":
      return { checksum: pool.checksum(command.pages) };
    case "offer": {
      const sender = manager.createSender({ room: command.room });
      sender.init(command.pages.length, command.room % 64);
      sender.send(command.pages);
      senders.set(command.room, sender);
      return {};
    }
    case "latency": {
      const sender = senders.get(command.room)!;
      await sender.done;
      const { transferLatencyS } = sender.transferMetric();
      sender.clear();
      senders.delete(command.room);
      return { seconds: transferLatencyS };
    }
    case "take": {
      const start = performance.now();
      using receiver = manager.createReceiver({ room: command.room, bootstrapAddr: command.address });
      receiver.init(command.pages, command.room % 64);
      let state = receiver.poll();
      while (state !== KVPoll.Success && state !== KVPoll.Failed) state = receiver.poll();
      const seconds = (performance.now() - start) / 1000;
      await receiver.done;
      return { seconds };
    }
  }
}

process.on("message", (command: PeerCommand) => {
  void obey(command).then(
    (answer) => process.send!(answer),
    (error: unknown) => process.send!({ error: error instanceof Error ? error.message : String(error) }),
  );
});
process.send!({ address: manager.bootstrapServer?.address });

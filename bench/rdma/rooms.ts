import { KVManager } from "../../lib/index.ts";
import { LAYERS, Pool } from "./pool.ts";

/** As many as it takes until the three threads run compiled code; an emulated machine compiles slowly, too. */
const WARM_UP_ROOMS = 300;

/** What a batch of rooms took. */
export interface RoomTimes {
  readonly bytesPerSecond: number;
  readonly roomsPerSecond: number;
  /** From `receiver.init` to the end on both sides, of each room. */
  readonly microseconds: readonly number[];
}

/** Two managers over verbs in this process, each with a progress thread of its own, connected and warm. */
export class Rooms implements AsyncDisposable {
  readonly #pageBytes: number;
  readonly #pools: readonly [Pool, Pool];
  readonly #prefill: KVManager;
  readonly #decode: KVManager;
  #next = 1;

  private constructor(pageBytes: number, pools: readonly [Pool, Pool], prefill: KVManager, decode: KVManager) {
    this.#pageBytes = pageBytes;
    this.#pools = pools;
    this.#prefill = prefill;
    this.#decode = decode;
  }

  static async open(pages: number, pageBytes: number): Promise<Rooms> {
    const pools = [new Pool(pages, pageBytes), new Pool(pages, pageBytes)] as const;
    // An emulated machine takes long to read the library, and is now and then away for a second.
    const timeouts = { threadMs: 90_000, connectMs: 60_000, leaseMs: 20_000 };
    const common = { transport: "verbs", timeouts, transportOptions: { verbs: { timeout: 17 } } };
    const bootstrap = { host: "127.0.0.1", port: 0, serve: true };
    const prefill = await KVManager.create({ ...common, role: "prefill", args: pools[0].args, bootstrap });
    const decode = await KVManager.create({ ...common, role: "decode", args: pools[1].args });
    const rooms = new Rooms(pageBytes, pools, prefill, decode);
    await rooms.run({ count: WARM_UP_ROOMS, atOnce: 1, from: [0], to: [0] });
    return rooms;
  }

  async run(work: {
    count: number;
    atOnce: number;
    from: readonly number[];
    to: readonly number[];
  }): Promise<RoomTimes> {
    const { count, atOnce, from, to } = work;
    const microseconds: number[] = [];
    let left = count;
    const begun = performance.now();
    const line = async (slot: number): Promise<void> => {
      // Rooms that are open together have pages of their own.
      const shift = (pages: readonly number[]): number[] => pages.map((page) => page + slot * pages.length);
      while (left-- > 0) microseconds.push(await this.#one(slot, shift(from), shift(to)));
    };
    await Promise.all(Array.from({ length: atOnce }, (_, slot) => line(slot)));
    const seconds = (performance.now() - begun) / 1_000;
    const bytes = count * from.length * this.#pageBytes * 2 * LAYERS;
    return { bytesPerSecond: bytes / seconds, roomsPerSecond: count / seconds, microseconds };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#decode.close();
    await this.#prefill.close();
    for (const pool of this.#pools) pool[Symbol.dispose]();
  }

  async #one(slot: number, from: readonly number[], to: readonly number[]): Promise<number> {
    const room = this.#next++;
    const sender = this.#prefill.createSender({ room });
    sender.init(from.length, slot);
    sender.send(from);
    const receiver = this.#decode.createReceiver({ room, bootstrapAddr: this.#prefill.bootstrapServer!.address });
    const begun = performance.now();
    receiver.init(to, slot);
    await Promise.all([receiver.done, sender.done]);
    const took = (performance.now() - begun) * 1_000;
    sender.clear();
    receiver.clear();
    return took;
  }
}

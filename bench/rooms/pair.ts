import { now } from "../../lib/clock.ts";
import { KVManager, type KVReceiver } from "../../lib/index.ts";
import { BenchPool } from "./pool.ts";
import { PrefillProcess } from "./prefill-process.ts";

const PAGE_BYTES = 4_096;
export const LARGE_PAGES = 65_536;
/** Of them small rooms use the first; the large room has pages of its own. */
const SMALL_PAGES = 64;

/** The same clock in both processes; `process.hrtime` begins anew in each. */
const micros = (): number => now() * 1_000;

/** Microseconds of one room: whole; from decode's announcing it to its arrival; from prefill's first write to its last. */
export interface Sample {
  readonly whole: number;
  readonly asked: number;
  readonly written: number;
}

/** A decode in this process and a prefill in another. */
export class RoomPair {
  readonly #prefill: PrefillProcess;
  readonly #address: string;
  readonly #decode: KVManager;
  #next = 1;

  private constructor(prefill: PrefillProcess, address: string, decode: KVManager) {
    this.#prefill = prefill;
    this.#address = address;
    this.#decode = decode;
  }

  static async open(transport: string): Promise<RoomPair> {
    const pages = LARGE_PAGES + SMALL_PAGES;
    const prefill = new PrefillProcess(transport, PAGE_BYTES, pages);
    const address = await prefill.hear("address");
    const { args } = new BenchPool(PAGE_BYTES, pages);
    return new RoomPair(prefill, address, await KVManager.create({ role: "decode", args, transport }));
  }

  /** A room of one page, which the prefill has ready. */
  async one(page: number): Promise<Sample> {
    const room = this.#next++;
    const ended = this.#prefill.hear(`done ${room}`);
    const receiver = await this.#open(room, 1);
    const from = micros();
    receiver.init([page % SMALL_PAGES], room % 7);
    await receiver.done;
    const here = micros() - from;
    const [, , at, written] = (await ended).split(" ").map(Number) as [number, number, number, number];
    const asked = receiver.transferMetric().transferLatencyS * 1e6;
    receiver.clear();
    return { whole: Math.max(here, at * 1_000 - from), asked, written };
  }

  /** A room of {@link LARGE_PAGES}, scattered at decode, under way. */
  async large(): Promise<KVReceiver> {
    const receiver = await this.#open(this.#next++, LARGE_PAGES);
    const scattered = Array.from({ length: LARGE_PAGES }, (_, page) => SMALL_PAGES + ((page * 7_919) % LARGE_PAGES));
    receiver.init(scattered, 7);
    return receiver;
  }

  async close(): Promise<void> {
    await this.#decode.close();
    this.#prefill.close();
  }

  async #open(room: number, pages: number): Promise<KVReceiver> {
    await this.#prefill.open(room, pages);
    const receiver = this.#decode.createReceiver({ room, bootstrapAddr: this.#address });
    await receiver.known();
    return receiver;
  }
}

import { KVUserError } from "../errors.ts";
import type { Command } from "./command.ts";

/**
 * A one-way queue of commands in shared memory: one thread writes, one reads, neither waits. A record is
 * [words in all, bytes of JSON, pages][JSON, padded][pages]; records wrap at the end of the buffer word by word.
 */
const HEAD = 0;
const TAIL = 1;
const CONTROL_WORDS = 16;
const RECORD_HEADER_WORDS = 3;
const NO_PAGES = -1;

export class CommandRing {
  readonly shared: SharedArrayBuffer;
  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #size: number;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();

  private constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#control = new Int32Array(shared, 0, CONTROL_WORDS);
    this.#words = new Int32Array(shared, CONTROL_WORDS * 4);
    this.#size = this.#words.length;
  }

  static allocate(byteLength: number): CommandRing {
    return new CommandRing(new SharedArrayBuffer(CONTROL_WORDS * 4 + byteLength));
  }

  static over(shared: SharedArrayBuffer): CommandRing {
    return new CommandRing(shared);
  }

  /** Writer: false if there is no room for it now. A command that could never fit is a user error. */
  push(command: Command): boolean {
    const { pages, ...rest } = command as Command & { pages?: Int32Array };
    const json = this.#encoder.encode(JSON.stringify(rest));
    const jsonWords = (json.length + 3) >>> 2;
    const total = RECORD_HEADER_WORDS + jsonWords + (pages?.length ?? 0);
    if (total >= this.#size) {
      throw new KVUserError(
        "BAD_ARGUMENT",
        `${pages?.length ?? 0} pages in one call do not fit the command ring; give them in parts`,
      );
    }
    const head = Atomics.load(this.#control, HEAD);
    const tail = this.#control[TAIL]!;
    const used = (tail - head + this.#size) % this.#size;
    if (used + total >= this.#size) return false;

    const padded = new Int32Array(jsonWords);
    new Uint8Array(padded.buffer).set(json);
    let at = this.#put(tail, Int32Array.of(total, json.length, pages?.length ?? NO_PAGES));
    at = this.#put(at, padded);
    if (pages) at = this.#put(at, pages);
    Atomics.store(this.#control, TAIL, at);
    return true;
  }

  /** Reader: the next command, if there is one. */
  pop(): Command | undefined {
    const head = this.#control[HEAD]!;
    if (head === Atomics.load(this.#control, TAIL)) return undefined;
    const [total, jsonBytes, pageCount] = this.#take(head, RECORD_HEADER_WORDS) as unknown as [number, number, number];
    const jsonWords = (jsonBytes + 3) >>> 2;
    const json = this.#take(head + RECORD_HEADER_WORDS, jsonWords);
    const rest = JSON.parse(this.#decoder.decode(new Uint8Array(json.buffer, 0, jsonBytes))) as Command;
    const command =
      pageCount === NO_PAGES ? rest : { ...rest, pages: this.#take(head + RECORD_HEADER_WORDS + jsonWords, pageCount) };
    Atomics.store(this.#control, HEAD, (head + total) % this.#size);
    return command as Command;
  }

  get empty(): boolean {
    return Atomics.load(this.#control, HEAD) === Atomics.load(this.#control, TAIL);
  }

  #put(at: number, words: Int32Array): number {
    const first = Math.min(words.length, this.#size - at);
    this.#words.set(words.subarray(0, first), at);
    this.#words.set(words.subarray(first), 0);
    return (at + words.length) % this.#size;
  }

  #take(at: number, count: number): Int32Array<ArrayBuffer> {
    const from = at % this.#size;
    const first = Math.min(count, this.#size - from);
    const out = new Int32Array(count);
    out.set(this.#words.subarray(from, from + first));
    out.set(this.#words.subarray(0, count - first), first);
    return out;
  }
}

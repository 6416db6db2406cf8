import { EventFd } from "../../../ffi/libc/index.ts";
import { until } from "../process/peer.ts";
import type { Heap } from "./heap.ts";

export const Word = { asked: 0, answered: 1, bytes: 2, objects: 3, count: 4 } as const;

export interface ProbeOptions {
  readonly transport: "shm" | "tcp" | "verbs";
  readonly options: Readonly<Record<string, unknown>>;
  readonly wakeFd: number;
  readonly words: Int32Array;
}

/** Asks a progress thread for its heap, of which no other thread can see anything. */
export class HeapProbe implements Disposable {
  /** What the manager is created with. */
  readonly manager: { readonly transport: string; readonly transportOptions: Record<string, Record<string, unknown>> };
  readonly #wake = EventFd.create();
  readonly #words = new Int32Array(new SharedArrayBuffer(Word.count * Int32Array.BYTES_PER_ELEMENT));

  constructor(transport: ProbeOptions["transport"], options: ProbeOptions["options"] = {}) {
    const module = `${import.meta.dir}/probed-transport.ts`;
    const probe = { transport, options, wakeFd: this.#wake.fd, words: this.#words };
    this.manager = { transport: module, transportOptions: { [module]: probe } };
  }

  async heap(): Promise<Heap> {
    const asked = Atomics.add(this.#words, Word.asked, 1) + 1;
    this.#wake.signal();
    const answered = (): number => Atomics.load(this.#words, Word.answered);
    await until("the progress thread to tell its heap", answered, (number) => number === asked);
    return { bytes: this.#words[Word.bytes]!, objects: this.#words[Word.objects]! };
  }

  /** Once the manager is closed. */
  [Symbol.dispose](): void {
    this.#wake.close();
  }
}

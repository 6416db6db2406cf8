import { Mapping } from "../../ffi/libc/index.ts";
import { type KVLayout, latentLayout } from "../planner/index.ts";
import type { RegisteredBuffer } from "./transport.ts";

const PAGES = 4;
const PAGE_BYTES = 4_096;

/** Memory that no engine cares for: the pool of one side of rooms that are only rehearsed. */
export class RehearsalPool implements Disposable {
  readonly layout: KVLayout;
  readonly buffers: readonly RegisteredBuffer[];
  readonly #memory = Mapping.allocate(2 * PAGES * PAGE_BYTES, {
    shared: true,
    hugePages: false,
    name: "kvwire-rehearsal",
  });

  constructor() {
    const { address: from } = this.#memory;
    const { fd, offset } = this.#memory.share!;
    const sizes = { pages: PAGES, pageBytes: PAGE_BYTES, auxSlots: PAGES, auxBytes: PAGE_BYTES };
    this.layout = latentLayout({ address: from, ...sizes });
    this.buffers = [...this.layout.buffers, ...this.layout.aux].map(({ address, length }) => {
      return { address, byteLength: length, share: { fd, offset: offset + address - from } };
    });
  }

  [Symbol.dispose](): void {
    this.#memory.close();
  }
}

/** A page, and an aux slot, of such a pool, another one for each number. */
export function rehearsalPage(number: number): number {
  return number % PAGES;
}

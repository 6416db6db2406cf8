import { Mapping } from "../../../ffi/libc/index.ts";
import type { RegisteredBuffer } from "../transport.ts";
import type { Region } from "./frames.ts";

/** A place that the sender may write to, as this process knows it. */
export interface Place extends Omit<Region, "share"> {
  readonly share?: { readonly fd: number; readonly offset: number };
}

/** Where the sender proves that what it writes arrives here. */
export interface Scratch {
  readonly place: Place;
  /** The first bytes of the place. */
  read(byteLength: number): Uint8Array;
  close(): void;
}

/** The receiver's memory as its senders reach it: all that differs between the transports of one host at this end. */
export interface ExposedMemory {
  /** The layout's buffers, in their order. */
  readonly places: readonly Place[];
  openScratch(): Scratch;
  /** Called before the sender is told where to write: the moment to allow it to. */
  allow(pid: number): void;
  /**
   * Whether something that a process began may still be written when its socket is closed already: then only its word, or
   * the end of the whole process, counts.
   */
  readonly outlivesSocket: boolean;
}

export interface HostMemoryOptions {
  /** Hand over the memfds that buffers stand in. */
  readonly share: boolean;
  readonly allow?: (pid: number) => void;
}

/** Ordinary memory. The kernel closes a process's descriptors after its threads have left its memory. */
export class HostMemory implements ExposedMemory {
  readonly places: readonly Place[];
  readonly outlivesSocket = false;
  readonly #options: HostMemoryOptions;

  constructor(buffers: readonly RegisteredBuffer[], options: HostMemoryOptions) {
    this.#options = options;
    this.places = buffers.map((buffer) => this.#place(buffer));
  }

  allow(pid: number): void {
    this.#options.allow?.(pid);
  }

  openScratch(): Scratch {
    const mapping = Mapping.allocate(4096, { shared: true, hugePages: false, name: "kvwire-probe" });
    return {
      place: this.#place({ address: mapping.address, byteLength: mapping.byteLength, share: mapping.share! }),
      read: (byteLength) => mapping.bytes.slice(0, byteLength),
      close: () => mapping.close(),
    };
  }

  #place({ address, byteLength, share }: RegisteredBuffer): Place {
    return { address, byteLength, ...(this.#options.share && share ? { share } : {}) };
  }
}

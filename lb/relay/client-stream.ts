import { lastEventEnd } from "./events.ts";

/** Slices queued for a client before its worker is made to wait. */
const HIGH_WATER = 32;

export interface ClientStreamOwner {
  /** The client has taken what was queued. */
  onClientReady(): void;
  onClientGone(): void;
}

/**
 * The event stream that a client reads. Only whole events are passed on, so that a stream that breaks can still end with
 * one valid error event.
 */
export class ClientStream {
  readonly readable: ReadableStream<Uint8Array>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #held: Buffer | undefined;
  #behind = false;
  #closed = false;
  /** Changes whole events before they are passed on. */
  rewrite: ((events: Buffer) => Buffer) | undefined;

  constructor(owner: ClientStreamOwner) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          if (!this.#behind) return;
          this.#behind = false;
          owner.onClientReady();
        },
        cancel: () => {
          this.#closed = true;
          owner.onClientGone();
        },
      },
      { highWaterMark: HIGH_WATER },
    );
  }

  /** Passes on the whole events in what has come so far; false: the client is behind, stop reading. */
  write(slice: Buffer): boolean {
    if (this.#closed) return true;
    let bytes = slice;
    if (this.#held !== undefined) {
      bytes = Buffer.concat([this.#held, bytes]);
      this.#held = undefined;
    }
    const end = lastEventEnd(bytes);
    if (end < bytes.length) this.#held = bytes.subarray(end);
    if (end > 0) {
      const events = end === bytes.length ? bytes : bytes.subarray(0, end);
      this.#controller.enqueue(this.rewrite === undefined ? events : this.rewrite(events));
    }
    if ((this.#controller.desiredSize ?? 1) > 0) return true;
    this.#behind = true;
    return false;
  }

  end(): void {
    if (this.#closed) return;
    this.#closed = true;
    // A last event without its empty line is passed on as it came.
    if (this.#held !== undefined) this.#controller.enqueue(this.#held);
    this.#controller.close();
  }

  /** Ends a broken stream: what is held of an event is dropped, `text` is sent as the last events. */
  fail(text: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#controller.enqueue(Buffer.from(text));
    this.#controller.close();
  }
}

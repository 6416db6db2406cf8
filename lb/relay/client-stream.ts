import { lastEventEnd } from "./events.ts";

/** Slices queued for a Fetch API client before its worker is made to wait. */
const HIGH_WATER = 32;

export interface ClientStreamOwner {
  /** The client has taken what was queued. */
  onClientReady(): void;
  onClientGone(): void;
}

/** What takes a stream's events to the client; tells the stream when it is `ready` for more, and when the client is `gone`. */
export interface EventDestination {
  /** Takes whole events, which nobody changes any more; false: the client is behind. */
  push(events: Buffer): boolean;
  close(): void;
}

/**
 * The event stream that a client reads. Only whole events are passed on, so that a stream that breaks can still end with
 * one valid error event.
 */
export class ClientStream {
  readonly #owner: ClientStreamOwner;
  #destination: EventDestination | undefined;
  /** What came before there was a destination. */
  #early: Buffer[] = [];
  #held: Buffer | undefined;
  #behind = false;
  #closed = false;
  /** Changes whole events before they are passed on. */
  rewrite: ((events: Buffer) => Buffer) | undefined;

  constructor(owner: ClientStreamOwner) {
    this.#owner = owner;
  }

  /** Where the events go, from the first one on. Called once. */
  attach(destination: EventDestination): void {
    this.#destination = destination;
    for (const events of this.#early) destination.push(events);
    this.#early = [];
    if (this.#closed) destination.close();
  }

  /** Attaches a stream of the Fetch API. */
  readable(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.attach({
            push: (events) => {
              controller.enqueue(events);
              return (controller.desiredSize ?? 1) > 0;
            },
            close: () => controller.close(),
          });
        },
        pull: () => this.ready(),
        cancel: () => this.gone(),
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
      this.#behind = !this.#push(this.rewrite === undefined ? events : this.rewrite(events));
    }
    return !this.#behind;
  }

  end(): void {
    // A last event without its empty line is passed on as it came.
    this.#close(this.#held);
  }

  /** Ends a broken stream: what is held of an event is dropped, `text` is sent as the last events. */
  fail(text: string): void {
    this.#close(Buffer.from(text));
  }

  /** The destination can take more. */
  ready(): void {
    if (!this.#behind) return;
    this.#behind = false;
    this.#owner.onClientReady();
  }

  /** The client has left. */
  gone(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.onClientGone();
  }

  #push(events: Buffer): boolean {
    if (this.#destination !== undefined) return this.#destination.push(events);
    this.#early.push(events);
    return true;
  }

  #close(last: Buffer | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    if (last !== undefined) this.#push(last);
    this.#destination?.close();
  }
}

import type { Connection, ExchangeSink, Outgoing, UpstreamError } from "../upstream/index.ts";
import { fieldOf, type ResponseHead } from "../wire/index.ts";
import type { Worker } from "../workers/index.ts";
import type { Answer, LegName } from "./failure.ts";
import type { AttemptPlan } from "./plan.ts";

/** What a pair hears of its legs. */
export interface LegOwner {
  onLegHead(leg: Leg): void;
  /** Only while the leg does not collect. */
  onLegBody(leg: Leg, slice: Buffer, chunks: number): void;
  onLegEnd(leg: Leg): void;
  onLegFailure(leg: Leg, error: UpstreamError): void;
}

/** Below this a copy into Node's buffer pool is several times cheaper than a view or an allocation. */
const COPY_BELOW = 4096;

function sliceOf(bytes: Buffer, start: number, end: number): Buffer {
  if (start === 0 && end === bytes.length) return bytes;
  if (end - start >= COPY_BELOW) return bytes.subarray(start, end);
  const copy = Buffer.allocUnsafe(end - start);
  bytes.copy(copy, 0, start, end);
  return copy;
}

/** One of the two requests of a pair. */
export class Leg implements ExchangeSink {
  readonly name: LegName;
  readonly worker: Worker;
  readonly #owner: LegOwner;
  #connection: Connection | undefined;
  #chunks: Buffer[] = [];
  head: ResponseHead | undefined;
  /** The response is an event stream. */
  events = false;
  /** Body is kept until the end instead of being handed on. */
  collect = true;
  /** Body is of no interest. */
  discard = false;
  ended = false;

  constructor(name: LegName, worker: Worker, owner: LegOwner) {
    this.name = name;
    this.worker = worker;
    this.#owner = owner;
  }

  send({ path, ownKeys, fresh }: AttemptPlan, message: Outgoing): void {
    this.#connection = this.worker.post(path, message, this, { ownKey: ownKeys, fresh });
  }

  get ok(): boolean {
    return this.head !== undefined && this.head.status < 300;
  }

  /** What was collected, with the head. */
  answer(): Answer {
    const { head } = this;
    return { status: head?.status ?? 502, fields: head?.fields ?? [], body: this.#body() };
  }

  pause(): void {
    this.#connection?.pause(this);
  }

  resume(): void {
    this.#connection?.resume(this);
  }

  /** What still comes is of no interest. */
  ignore(): void {
    this.collect = true;
    this.discard = true;
  }

  cancel(): void {
    this.ended = true;
    this.#connection?.cancel(this);
  }

  onHead(head: ResponseHead): void {
    this.head = head;
    this.events = fieldOf(head, "content-type")?.startsWith("text/event-stream") ?? false;
    this.#owner.onLegHead(this);
  }

  onBody(bytes: Buffer, start: number, end: number, chunks: number): void {
    if (this.discard) return;
    const slice = sliceOf(bytes, start, end);
    if (this.collect) this.#chunks.push(slice);
    else this.#owner.onLegBody(this, slice, chunks);
  }

  onEnd(): void {
    this.ended = true;
    this.#owner.onLegEnd(this);
  }

  onFailure(error: UpstreamError): void {
    this.ended = true;
    this.#owner.onLegFailure(this, error);
  }

  #body(): Buffer {
    const [only] = this.#chunks;
    if (only !== undefined && this.#chunks.length === 1) return only;
    return Buffer.concat(this.#chunks);
  }
}

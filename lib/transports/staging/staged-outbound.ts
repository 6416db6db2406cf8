import { asTransferError, type KVTransferError } from "../../errors.ts";
import type { CopySide } from "../gpu/index.ts";
import type { WritePlan } from "../../planner/index.ts";
import { type QueuedBatch, RoomQueue } from "../pairs/index.ts";
import type { OutboundEnd, OutboundEvents, RoomTag, TransportData, WriteBatch } from "../transport.ts";
import { type Piece, StagingRing } from "./staging-ring.ts";

/** A batch of the room's, sent as several of the transport's. */
interface Staged {
  readonly batch: WriteBatch;
  /** Pieces being filled or sent. */
  underWay: number;
  /** All of it has been begun. */
  complete: boolean;
  error: KVTransferError | undefined;
}

interface Part {
  readonly staged: Staged;
  readonly batch: WriteBatch;
  /** Undefined for a part without pages. */
  readonly piece: Piece | undefined;
}

const noPages = (plan: WritePlan): boolean => plan.writeCount === 0;

/**
 * A sender's end whose pages are on a GPU, in front of one that reads host memory: while one piece is gathered into pinned
 * memory, others are on their way. Parts go to the transport in the order in which they were begun.
 */
export class StagedOutbound implements OutboundEnd {
  readonly how = "staged through pinned host memory";
  readonly gatherLimit = 1;
  readonly #inner: OutboundEnd;
  readonly #events: OutboundEvents;
  readonly #ring: StagingRing;
  readonly #queue = new RoomQueue();
  readonly #staged = new Map<WriteBatch, Staged>();
  readonly #filling: Part[] = [];
  readonly #sending = new Map<WriteBatch, Part>();
  #confirmed = false;
  #over = false;

  constructor(open: (events: OutboundEvents) => OutboundEnd, events: OutboundEvents, side: CopySide) {
    this.#events = events;
    this.#ring = new StagingRing(side);
    this.#inner = open({
      connected: () => events.connected(),
      written: (batch) => this.#sent(batch),
      failed: (batch, error) => this.#sent(batch, error),
      message: (frames) => events.message?.(frames),
      lost: (error) => this.#lose(error),
    });
  }

  get endpoint(): TransportData {
    return this.#inner.endpoint;
  }

  get destinationBases(): Float64Array | undefined {
    return this.#inner.destinationBases;
  }

  confirm(): void {
    this.#confirmed = true;
    this.#inner.confirm();
  }

  write(batch: WriteBatch): void {
    this.#staged.set(batch, { batch, underWay: 0, complete: false, error: undefined });
    this.#queue.push(batch);
  }

  cancel(tag: RoomTag, error: KVTransferError): void {
    this.#queue.take(tag);
    for (const staged of this.#staged.values()) if (staged.batch.tag === tag) staged.error ??= error;
    this.#inner.cancel(tag, error);
    for (const staged of this.#staged.values()) if (staged.batch.tag === tag) this.#settle(staged);
  }

  step(until: number): boolean {
    try {
      this.#sendFilled();
      while (this.#confirmed && this.#ring.ready && this.#queue.current) this.#begin(this.#queue.current);
      this.#sendFilled();
    } catch (error) {
      this.#lose(asTransferError(error, { step: "stage" }));
    }
    if (this.#over) return false;
    return this.#inner.step(until) || this.#filling.length > 0;
  }

  keepAlive(): void {
    this.#inner.keepAlive();
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
  }

  #begin(queued: QueuedBatch): void {
    const staged = this.#staged.get(queued.batch)!;
    const { tag, last, plan: whole } = queued.batch;
    const filled = noPages(whole) ? { piece: undefined, plan: whole } : this.#ring.fill(queued);
    staged.underWay++;
    staged.complete = queued.pages.done;
    const batch = { tag, plan: filled.plan, ...(staged.complete && last ? { last } : {}) };
    this.#filling.push({ staged, batch, piece: filled.piece });
    if (staged.complete) this.#queue.finishCurrent();
    else this.#queue.next();
  }

  #sendFilled(): void {
    while (this.#filling.length > 0 && !this.#over) {
      const part = this.#filling[0]!;
      if (part.piece && !part.piece.filled.reached()) return;
      this.#filling.shift();
      if (part.staged.error) this.#end(part);
      else {
        this.#sending.set(part.batch, part);
        this.#inner.write(part.batch);
      }
    }
  }

  #sent(batch: WriteBatch, error?: KVTransferError): void {
    const part = this.#sending.get(batch)!;
    this.#sending.delete(batch);
    if (error && part.staged.error === undefined) {
      part.staged.error = error;
      // What has not been begun of the room's would fail as well.
      for (const dropped of this.#queue.take(batch.tag)) this.#staged.get(dropped)!.error ??= error;
    }
    this.#end(part);
  }

  #end({ staged, piece }: Part): void {
    if (piece) this.#ring.giveBack(piece);
    staged.underWay--;
    for (const each of this.#staged.values()) if (each.batch.tag === staged.batch.tag) this.#settle(each);
  }

  #settle(staged: Staged): void {
    if (staged.underWay > 0 || !(staged.complete || staged.error) || !this.#staged.delete(staged.batch)) return;
    if (staged.error) this.#events.failed(staged.batch, staged.error);
    else this.#events.written(staged.batch);
  }

  #lose(error: KVTransferError): void {
    if (this.#over) return;
    this.#over = true;
    const left = [...this.#staged.values()];
    this.#staged.clear();
    this.#release();
    for (const { batch, error: cause } of left) this.#events.failed(batch, cause ?? error);
    this.#events.lost(error);
  }

  /** The transport first: it reads the ring. */
  #release(): void {
    this.#inner.close();
    this.#ring.close();
  }
}

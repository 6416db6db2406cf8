import { KVTransferError, KVUserError } from "./errors.ts";
import type { Command } from "./progress/command.ts";
import { KVPoll, type RoomTable, type SlotRef } from "./rooms/index.ts";

/** What a room's owner needs of its manager. */
export interface RoomOwner {
  readonly table: RoomTable;
  /** The names of the manager's transports, as rooms number them. */
  readonly transports: readonly string[];
  submit(command: Command): void;
  /** The room's number may be used again. */
  roomEnded(handle: RoomHandle): void;
}

/** Times in seconds, as SGLang's get_transfer_metric reports them; 0 for what has not happened. */
export interface TransferMetric {
  /** From both sides' being ready (pages known, first pages given) to the end. */
  readonly transferLatencyS: number;
  /** From creation to that. */
  readonly allocLatencyS: number;
  /** From the last `send` to the end: what is left of the transfer when the computation is over. Senders only. */
  readonly tailLatencyS: number;
  /** How long writes were under way, without the waits for the computation in between. Senders only. */
  readonly writingS: number;
  readonly transferTotalBytes: number;
  /** What carried the bytes. */
  readonly transport: string | undefined;
}

/** What senders and receivers have in common: a room's state, its end, and the return of its pages. */
export abstract class RoomHandle {
  readonly room: number;
  /** Settles when the room has ended: resolves on Success, rejects with the {@link KVTransferError} on failure. */
  readonly done: Promise<void>;
  /** Settles when no read (sender) or write (receiver) of the room's pages can happen any more, however it ended. */
  readonly released: Promise<void>;
  protected readonly owner: RoomOwner;
  protected readonly ref: SlotRef;
  #last: KVPoll = KVPoll.Bootstrapping;
  #error: KVTransferError | undefined;
  #cleared = false;
  #figures: ReturnType<RoomTable["figures"]> | undefined;
  #transport: string | undefined;

  protected constructor(owner: RoomOwner, room: number, ref: SlotRef) {
    this.owner = owner;
    this.room = room;
    this.ref = ref;
    const { table } = owner;
    this.done = table.wait(ref, ended).then(() => this.#settle());
    this.released = table.wait(ref, (_, released) => released);
    // A room whose failure nobody awaits is still seen by poll().
    this.done.catch(() => undefined);
    void Promise.allSettled([this.done, this.released]).then(() => owner.roomEnded(this));
  }

  /** The room's state now. Never blocks; right even if the event loop has not turned. */
  poll(): KVPoll {
    if (this.#cleared) return this.#last;
    return (this.#last = this.owner.table.state(this.ref) ?? this.#last);
  }

  /** Settles when both sides know each other (WaitingForInput or beyond), or when the room has ended. */
  known(): Promise<void> {
    return this.owner.table.known(this.ref);
  }

  /** Whether the pages are free (see {@link released}). */
  get isReleased(): boolean {
    return this.owner.table.released(this.ref);
  }

  /** Why the room failed; undefined while it has not. */
  failureException(): KVTransferError | undefined {
    if (this.#error) return this.#error;
    return this.#cleared ? undefined : (this.#error = this.owner.table.error(this.ref));
  }

  transferMetric(): TransferMetric {
    const figures = this.#figures ?? this.owner.table.figures(this.ref);
    const { bytes, createdAt, startedAt, suppliedAt, endedAt, writingMs } = figures;
    const seconds = (from: number, to: number): number => (from > 0 && to > 0 ? Math.max(0, to - from) / 1_000 : 0);
    return {
      transferLatencyS: seconds(startedAt, endedAt),
      allocLatencyS: seconds(createdAt, startedAt),
      tailLatencyS: seconds(suppliedAt, endedAt),
      writingS: writingMs / 1_000,
      transferTotalBytes: bytes,
      transport: this.#cleared ? this.#transport : this.#transportName(),
    };
  }

  /** Gives the room up; the peer is told. It fails with ABORTED unless it has ended. */
  abort(reason = "aborted by this side's engine"): void {
    if (!this.#cleared) this.owner.submit({ op: "abort", ref: this.ref, reason });
  }

  /** Lets go of the room: it is aborted if it has not ended, and its slot is reused once its pages are released. */
  clear(): void {
    if (this.#cleared) return;
    this.poll();
    this.failureException();
    this.#figures = this.owner.table.figures(this.ref);
    this.#transport = this.#transportName();
    this.#cleared = true;
    this.owner.submit({ op: "clear", ref: this.ref });
  }

  [Symbol.dispose](): void {
    this.clear();
  }

  protected get cleared(): boolean {
    return this.#cleared;
  }

  protected assertOpen(call: string): void {
    if (this.#cleared) throw new KVUserError("CLOSED", `${call}: the room was cleared`, { room: this.room });
  }

  #transportName(): string | undefined {
    const index = this.owner.table.transport(this.ref);
    return index === undefined ? undefined : this.owner.transports[index];
  }

  #settle(): void {
    if (this.poll() === KVPoll.Success) return;
    throw (
      this.failureException() ??
      new KVTransferError("ABORTED", "the room was cleared before its end", { room: this.room })
    );
  }
}

function ended(state: KVPoll | undefined): boolean {
  return state === undefined || state === KVPoll.Failed || state === KVPoll.Success;
}

/** Page indices as the rooms carry them, checked against the pool. */
export function pageIndices(
  call: string,
  pages: ArrayLike<number>,
  capacity: number,
  room: number,
): Int32Array<ArrayBuffer> {
  const out = new Int32Array(pages);
  for (let i = 0; i < out.length; i++) {
    if (out[i]! >= 0 && out[i]! < capacity && out[i] === pages[i]) continue;
    throw new KVUserError(
      "BAD_ARGUMENT",
      `${call}: page ${pages[i]} (at ${i}) is not one of the pool's ${capacity} pages`,
      { room },
    );
  }
  return out;
}

export function slotIndex(call: string, index: number, capacity: number, room: number): number {
  if (Number.isInteger(index) && index >= 0 && (index < capacity || capacity === 0)) return index;
  throw new KVUserError("BAD_ARGUMENT", `${call}: aux slot ${index} is not one of the ${capacity} slots`, { room });
}

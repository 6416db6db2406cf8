import { KVTransferError } from "../errors.ts";
import { type RoomTable, type SlotRef, tagToRef } from "../rooms/index.ts";
import type { RoomTag } from "../transports/transport.ts";
import type { Command } from "./command.ts";

/** What the progress thread keeps of any room until its owner has cleared it. */
export interface RoomRecord {
  readonly ref: SlotRef;
  readonly room: number;
  deadlineAt: number;
  /** What the deadline is for; it goes into the error. */
  waitingFor: string;
  ended: boolean;
  released: boolean;
  /** The owner will not ask again. */
  cleared: boolean;
}

/** A manager's rooms: how they end, when their pages are free, when their slots are. */
export class RoomBook<R extends RoomRecord> {
  readonly #table: RoomTable;
  readonly #now: () => number;
  readonly #bySlot = new Map<number, R>();
  #live = 0;

  constructor(table: RoomTable, now: () => number) {
    this.#table = table;
    this.#now = now;
  }

  /** Rooms that have not ended. */
  get live(): number {
    return this.#live;
  }

  /** Those that have ended but were not cleared, or whose pages are not free, included. */
  get size(): number {
    return this.#bySlot.size;
  }

  [Symbol.iterator](): IterableIterator<R> {
    return this.#bySlot.values();
  }

  open(record: R): void {
    this.#bySlot.set(record.ref.slot, record);
    this.#live++;
  }

  get(ref: SlotRef): R | undefined {
    const record = this.#bySlot.get(ref.slot);
    return record?.ref.generation === ref.generation ? record : undefined;
  }

  byTag(tag: RoomTag): R | undefined {
    return this.get(tagToRef(tag));
  }

  /** The room's pages belong to the engine again, too. */
  succeed(record: R): void {
    if (!this.#end(record, () => this.#table.succeed(record.ref))) return;
    record.released = true;
    this.#forgetIfDone(record);
  }

  /** True if this call ended it. */
  fail(record: R, error: KVTransferError): boolean {
    return this.#end(record, () => this.#table.fail(record.ref, error.forRoom(record.room)));
  }

  /** The room's pages belong to the engine again. */
  release(record: R): void {
    if (record.released) return;
    record.released = true;
    this.#table.release(record.ref);
    this.#forgetIfDone(record);
  }

  clear(record: R): void {
    record.cleared = true;
    this.#forgetIfDone(record);
  }

  #end(record: R, store: () => void): boolean {
    if (record.ended) return false;
    record.ended = true;
    this.#live--;
    this.#table.setFigure(record.ref, "endedAt", this.#now());
    store();
    return true;
  }

  #forgetIfDone(record: R): void {
    if (!record.ended || !record.released || !record.cleared) return;
    this.#bySlot.delete(record.ref.slot);
    this.#table.free(record.ref);
  }
}

/** What an owner's `abort` and `clear` do to a room of any kind: it ends, unless it has, and a cleared one is let go. */
export function giveUp<R extends RoomRecord>(
  command: Extract<Command, { op: "abort" | "clear" }>,
  rooms: RoomBook<R>,
  fail: (room: R, error: KVTransferError) => void,
): void {
  const room = rooms.get(command.ref);
  if (!room) return;
  const reason = command.op === "abort" ? command.reason : "cleared before its end";
  fail(room, new KVTransferError("ABORTED", reason, { step: command.op }));
  if (command.op === "clear") rooms.clear(room);
}

import { KVTransferError, KVUserError, type TransferErrorRecord } from "../errors.ts";
import type { RoomTag } from "../transports/transport.ts";
import { KVPoll } from "./poll.ts";

/**
 * The state of every room of a manager, in memory that its two threads share: the engine's thread reads a room's state
 * with one atomic load, at any time; the progress thread alone changes it. A slot is reused under a new generation,
 * so that whoever holds an old one sees that his room is gone.
 *
 * Status word: generation << 8 | flags | state.
 */
const STATE = 0x07;
const FREE = 0x07;
const RELEASED = 0x10;
const GENERATION_SHIFT = 8;
const GENERATION_MASK = 0xffff;

const SLOT_BYTES = 1024;
const SLOT_WORDS = SLOT_BYTES / 4;
const SLOT_DOUBLES = SLOT_BYTES / 8;
const ERROR_OFFSET = 128;
const ERROR_BYTES = SLOT_BYTES - ERROR_OFFSET;

const Word = { status: 0, errorLength: 1, decodePrefixTokens: 2, transport: 3, ends: 18 } as const;
const Double = { bytes: 2, createdAt: 3, startedAt: 4, endedAt: 5, roomId: 6, suppliedAt: 7, writingMs: 8 } as const;

export const MAX_SLOTS = 0xffff;

/** A room's slot and generation: what both threads and, packed, the peers call it. */
export interface SlotRef {
  readonly slot: number;
  readonly generation: number;
}

export function toTag(ref: SlotRef): RoomTag {
  return ((ref.generation << 16) | ref.slot) >>> 0;
}

export function tagToRef(tag: RoomTag): SlotRef {
  return { slot: tag & 0xffff, generation: tag >>> 16 };
}

/** What a room has done so far. Times are in milliseconds of the progress thread's clock; 0 is "not yet". */
export interface RoomFigures {
  readonly bytes: number;
  readonly createdAt: number;
  /** The receiver's pages are known to the sender, and the sender's engine has given its first pages. */
  readonly startedAt: number;
  /** When the last page index was supplied by this side's engine. */
  readonly suppliedAt: number;
  readonly endedAt: number;
  /** For how long writes of a sender's room were under way. */
  readonly writingMs: number;
}

export class RoomTable {
  readonly shared: SharedArrayBuffer;
  readonly capacity: number;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #bytes: Uint8Array;
  #cursor = 0;

  private constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.capacity = shared.byteLength / SLOT_BYTES;
    this.#words = new Int32Array(shared);
    this.#doubles = new Float64Array(shared);
    this.#bytes = new Uint8Array(shared);
  }

  static allocate(capacity: number): RoomTable {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > MAX_SLOTS) {
      throw new KVUserError("BAD_ARGUMENT", `maxRooms must be an integer from 1 to ${MAX_SLOTS}, not ${capacity}`);
    }
    const table = new RoomTable(new SharedArrayBuffer(capacity * SLOT_BYTES));
    for (let slot = 0; slot < capacity; slot++) table.#words[slot * SLOT_WORDS] = FREE;
    return table;
  }

  static over(shared: SharedArrayBuffer): RoomTable {
    return new RoomTable(shared);
  }

  /** Engine's thread: takes a free slot for a room. */
  acquire(room: number, now: number): SlotRef {
    for (let i = 0; i < this.capacity; i++) {
      const slot = (this.#cursor + i) % this.capacity;
      const word = Atomics.load(this.#words, slot * SLOT_WORDS);
      if ((word & STATE) !== FREE) continue;
      this.#cursor = (slot + 1) % this.capacity;
      // Never 0, so that no tag is 0.
      const generation = ((word >>> GENERATION_SHIFT) + 1) & GENERATION_MASK || 1;
      const base = slot * SLOT_WORDS;
      this.#words.fill(0, base + 1, base + ERROR_OFFSET / 4);
      this.#doubles[slot * SLOT_DOUBLES + Double.roomId] = room;
      this.#doubles[slot * SLOT_DOUBLES + Double.createdAt] = now;
      Atomics.store(this.#words, base, (generation << GENERATION_SHIFT) | KVPoll.Bootstrapping);
      return { slot, generation };
    }
    throw new KVUserError(
      "ROOM_TABLE_FULL",
      `all ${this.capacity} room slots are taken: clear ended rooms or raise maxRooms`,
      {
        room,
      },
    );
  }

  /** Slots that hold a room, ended or not. */
  get used(): number {
    let used = 0;
    for (let slot = 0; slot < this.capacity; slot++) {
      if ((Atomics.load(this.#words, slot * SLOT_WORDS) & STATE) !== FREE) used++;
    }
    return used;
  }

  /** Undefined once the slot was given up: the room was cleared. */
  state(ref: SlotRef): KVPoll | undefined {
    const word = this.#status(ref);
    return word === undefined ? undefined : ((word & STATE) as KVPoll);
  }

  released(ref: SlotRef): boolean {
    const word = this.#status(ref);
    return word === undefined || (word & RELEASED) !== 0;
  }

  /** Progress thread: raises the state of a room that goes on. False if the room has ended, is gone, or is further already. */
  advance(ref: SlotRef, state: KVPoll): boolean {
    const word = this.#status(ref);
    if (word === undefined) return false;
    const current = word & STATE;
    if (current === KVPoll.Failed || current === KVPoll.Success || current >= state) return false;
    this.#store(ref, (word & ~STATE) | state);
    return true;
  }

  /** Progress thread: the room has ended well, and its pages belong to the engine again. */
  succeed(ref: SlotRef): boolean {
    const word = this.#status(ref);
    if (word === undefined) return false;
    const current = word & STATE;
    if (current === KVPoll.Failed || current === KVPoll.Success) return false;
    this.#store(ref, (word & ~STATE) | KVPoll.Success | RELEASED);
    return true;
  }

  /** Progress thread: the room fails with `error`, unless it has ended before. */
  fail(ref: SlotRef, error: KVTransferError): boolean {
    const word = this.#status(ref);
    if (word === undefined) return false;
    const current = word & STATE;
    if (current === KVPoll.Failed || current === KVPoll.Success) return false;
    this.#writeError(ref.slot, error);
    this.#store(ref, word & ~STATE);
    return true;
  }

  /** Progress thread: the pages of an ended room belong to the engine again. */
  release(ref: SlotRef): void {
    const word = this.#status(ref);
    if (word !== undefined && (word & RELEASED) === 0) this.#store(ref, word | RELEASED);
  }

  /** Progress thread: the slot may be given to another room. */
  free(ref: SlotRef): void {
    if (this.#status(ref) !== undefined) this.#store(ref, (ref.generation << GENERATION_SHIFT) | RELEASED | FREE);
  }

  error(ref: SlotRef): KVTransferError | undefined {
    if (this.state(ref) !== KVPoll.Failed) return undefined;
    const length = this.#words[ref.slot * SLOT_WORDS + Word.errorLength]!;
    const from = ref.slot * SLOT_BYTES + ERROR_OFFSET;
    const record = JSON.parse(new TextDecoder().decode(this.#bytes.slice(from, from + length))) as TransferErrorRecord;
    return KVTransferError.fromRecord(record);
  }

  figures(ref: SlotRef): RoomFigures {
    const base = ref.slot * SLOT_DOUBLES;
    return {
      bytes: this.#doubles[base + Double.bytes]!,
      createdAt: this.#doubles[base + Double.createdAt]!,
      startedAt: this.#doubles[base + Double.startedAt]!,
      suppliedAt: this.#doubles[base + Double.suppliedAt]!,
      endedAt: this.#doubles[base + Double.endedAt]!,
      writingMs: this.#doubles[base + Double.writingMs]!,
    };
  }

  /** Progress thread. */
  setFigure(ref: SlotRef, figure: keyof RoomFigures, value: number): void {
    this.#doubles[ref.slot * SLOT_DOUBLES + Double[figure]] = value;
  }

  decodePrefixTokens(ref: SlotRef): number {
    return Atomics.load(this.#words, ref.slot * SLOT_WORDS + Word.decodePrefixTokens);
  }

  setDecodePrefixTokens(ref: SlotRef, tokens: number): void {
    Atomics.store(this.#words, ref.slot * SLOT_WORDS + Word.decodePrefixTokens, tokens);
  }

  /** Settles when the room is further than Bootstrapping. */
  known(ref: SlotRef): Promise<void> {
    return this.#wait(ref, Word.status, (state) => state !== KVPoll.Bootstrapping);
  }

  /** Settles when `until` accepts how the room has ended, or that it is gone; it is asked at the ends only. */
  wait(ref: SlotRef, until: (state: KVPoll | undefined, released: boolean) => boolean): Promise<void> {
    return this.#wait(ref, Word.ends, until);
  }

  /** Which of the manager's transports carries the room, by its place in their list; undefined before that is known. */
  transport(ref: SlotRef): number | undefined {
    const stored = Atomics.load(this.#words, ref.slot * SLOT_WORDS + Word.transport);
    return stored === 0 ? undefined : stored - 1;
  }

  /** Progress thread. */
  setTransport(ref: SlotRef, index: number): void {
    Atomics.store(this.#words, ref.slot * SLOT_WORDS + Word.transport, index + 1);
  }

  #status(ref: SlotRef): number | undefined {
    const word = Atomics.load(this.#words, ref.slot * SLOT_WORDS);
    return word >>> GENERATION_SHIFT === ref.generation && (word & STATE) !== FREE ? word : undefined;
  }

  /** Who waits for the end is not woken by what comes before it: each waking of the engine's thread costs it a turn. */
  #store(ref: SlotRef, word: number): void {
    const index = ref.slot * SLOT_WORDS;
    Atomics.store(this.#words, index, word);
    Atomics.notify(this.#words, index);
    const state = word & STATE;
    if (state !== KVPoll.Failed && state !== KVPoll.Success && state !== FREE) return;
    Atomics.add(this.#words, index + Word.ends, 1);
    Atomics.notify(this.#words, index + Word.ends);
  }

  /** Works whether or not the event loop has turned. */
  async #wait(
    ref: SlotRef,
    word: number,
    until: (state: KVPoll | undefined, released: boolean) => boolean,
  ): Promise<void> {
    const index = ref.slot * SLOT_WORDS + word;
    for (;;) {
      const seen = Atomics.load(this.#words, index);
      if (until(this.state(ref), this.released(ref))) return;
      const wait = Atomics.waitAsync(this.#words, index, seen);
      if (wait.async) await wait.value;
    }
  }

  /** An error that does not fit loses first the tail of its message, then its details. */
  #writeError(slot: number, error: KVTransferError): void {
    const record = error.toRecord();
    // A control character takes six bytes in JSON.
    const brief = { code: record.code, message: `${record.message.slice(0, 120)}…` };
    const encoded = [record, { ...record, message: brief.message }, brief]
      .map((candidate) => new TextEncoder().encode(JSON.stringify(candidate)))
      .find((bytes) => bytes.length <= ERROR_BYTES)!;
    this.#bytes.set(encoded, slot * SLOT_BYTES + ERROR_OFFSET);
    this.#words[slot * SLOT_WORDS + Word.errorLength] = encoded.length;
  }
}

import type { RoomTag } from "../transport.ts";
import type { Credits } from "./credits.ts";
import type { MessageSlots } from "./message-slots.ts";
import { type Message, MessageType } from "./messages.ts";
import type { Poster } from "./posted-lists.ts";
import type { SendQueue } from "./send-queue.ts";

export type Note = Pick<Message, "type"> & Partial<Message>;

/** A room's key, and what the device must do before it is of use. */
export interface KeyNote {
  readonly note: Note;
  /** Requests that {@link bind} adds at most. */
  readonly requests: number;
  bind(sends: SendQueue): void;
}

/** What a lane has to say and may not yet: the peer must have room for it, and the send queue, too. */
export class Outbox {
  readonly #sends: SendQueue;
  readonly #slots: MessageSlots;
  readonly #credits: Credits;
  readonly #notes: { readonly note: Note; readonly poster: Poster | undefined }[] = [];
  readonly #keys: KeyNote[] = [];
  /** Requests that say nothing to the peer, and so need no room with it. */
  readonly #silent: (() => void)[] = [];

  constructor(sends: SendQueue, slots: MessageSlots, credits: Credits) {
    this.#sends = sends;
    this.#slots = slots;
    this.#credits = credits;
  }

  get isEmpty(): boolean {
    return this.#notes.length === 0;
  }

  push(note: Note, poster?: Poster): void {
    this.#notes.push({ note, poster });
  }

  pushKeys(keys: readonly KeyNote[]): void {
    this.#keys.push(...keys);
  }

  /** `add` adds one request, as soon as there is room, before all that waits. */
  pushSilent(add: () => void): void {
    this.#silent.push(add);
  }

  /** Keys that the room was to be given are not needed any more. */
  withdrawKeys(tag: RoomTag): void {
    const kept = this.#keys.filter(({ note }) => note.tag !== tag);
    if (kept.length < this.#keys.length) this.#keys.splice(0, Infinity, ...kept);
  }

  /** Adds what may go now to the send queue. */
  add(): void {
    while (this.#silent.length > 0 && this.#sends.hasRoomFor(1)) this.#silent.shift()!();
    while (this.#notes.length > 0 && this.#maySay(1, 1)) {
      const { note, poster } = this.#notes.shift()!;
      this.say(note, poster);
    }
    // A peer that stands still must have room left to be told which of its rooms are taken back.
    while (this.#keys.length > 0 && this.#maySay(this.#credits.half, this.#keys[0]!.requests + 1)) {
      const key = this.#keys.shift()!;
      key.bind(this.#sends);
      this.say(key.note);
    }
    // The last credit is kept for giving credits back: each side can then always let the other go on.
    if (this.#credits.overdue && this.#maySay(0, 1)) this.say({ type: MessageType.CREDIT });
  }

  /** Ahead of what waits. Only where there is room. */
  say(note: Note, poster?: Poster): void {
    const credits = this.#credits.spend();
    this.#sends.send(this.#slots, { tag: 0, value: 0, round: 0, lanes: 0, ...note, credits }, poster);
  }

  #maySay(reserve: number, requests: number): boolean {
    return this.#credits.granted > reserve && this.#sends.hasRoomFor(requests);
  }
}

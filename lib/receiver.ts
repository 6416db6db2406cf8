import { KVUserError } from "./errors.ts";
import type { PoolCapacity } from "./planner/index.ts";
import type { RepeatFinder } from "./repeat-finder.ts";
import { pageIndices, RoomHandle, type RoomOwner, slotIndex } from "./room-handle.ts";
import type { SlotRef } from "./rooms/index.ts";

export interface ReceiverOptions {
  /** The request's bootstrap room: an integer from 0 to 2^53-1, unique among live rooms. */
  readonly room: number;
  /** `host:port` of the prefill instance's registry, as the request named it. */
  readonly bootstrapAddr: string;
}

export interface ReceiverInitOptions {
  /** Tokens at the prompt's start whose pages this side has already: `pageIndices` begins behind them. */
  readonly decodePrefixTokens?: number;
  /** The prefill replica that serves the room; by default the room's number modulo the replicas. */
  readonly prefillDpRank?: number | undefined;
}

/**
 * Decode's side of a room (SGLang's KVReceiver). The pages and the aux slot given to `init` belong to the room until
 * {@link released} settles: after a failure a write may still be under way.
 */
export class KVReceiver extends RoomHandle {
  readonly #capacity: PoolCapacity;
  readonly #repeats: RepeatFinder;
  #initialized = false;

  /** Use `manager.createReceiver`. */
  constructor(owner: RoomOwner, ref: SlotRef, options: ReceiverOptions, capacity: PoolCapacity, repeats: RepeatFinder) {
    super(owner, options.room, ref);
    this.#capacity = capacity;
    this.#repeats = repeats;
    owner.submit({ op: "open-receiver", ref, room: options.room, bootstrapAddr: options.bootstrapAddr });
  }

  /** Where the room's pages go: any pages, in the order of the prompt. May be empty (aux only). */
  init(pages: ArrayLike<number>, auxIndex: number, options: ReceiverInitOptions = {}): void {
    this.assertOpen("init");
    const { room } = this;
    if (this.#initialized) throw new KVUserError("WRONG_STATE", "init: called twice", { room });
    const { decodePrefixTokens = 0, prefillDpRank } = options;
    if (!Number.isInteger(decodePrefixTokens) || decodePrefixTokens < 0) {
      throw new KVUserError("BAD_ARGUMENT", `init: decodePrefixTokens must be 0 or more, not ${decodePrefixTokens}`, {
        room,
      });
    }
    if (prefillDpRank !== undefined && (!Number.isInteger(prefillDpRank) || prefillDpRank < 0)) {
      throw new KVUserError("BAD_ARGUMENT", `init: prefillDpRank must be 0 or more, not ${prefillDpRank}`, { room });
    }
    const checked = pageIndices("init", pages, this.#capacity.pages, room);
    const twice = this.#repeats.find(checked);
    if (twice !== undefined) throw new KVUserError("BAD_ARGUMENT", `init: page ${twice} is named twice`, { room });
    slotIndex("init", auxIndex, this.#capacity.auxSlots, room);
    this.#initialized = true;
    this.owner.submit({
      op: "init-receiver",
      ref: this.ref,
      pages: checked,
      auxIndex,
      decodePrefixTokens,
      prefillDpRank,
    });
  }
}

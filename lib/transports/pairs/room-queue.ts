import type { RoomTag, WriteBatch } from "../transport.ts";
import { QueuedBatch } from "./queued-batch.ts";

interface QueuedRoom {
  readonly tag: RoomTag;
  readonly batches: QueuedBatch[];
  /** Those before it are done; an array's own shift costs as much as there is behind it. */
  first: number;
}

const COMPACT_AFTER = 64;

/** What is still to be written: batches of one room in order, rooms in turn. */
export class RoomQueue {
  readonly #rooms: QueuedRoom[] = [];
  readonly #byTag = new Map<RoomTag, QueuedRoom>();
  #turn = 0;

  /** Rooms that have something queued. */
  get size(): number {
    return this.#rooms.length;
  }

  /** The first batch of the room whose turn it is. */
  get current(): QueuedBatch | undefined {
    const room = this.#rooms[this.#turn];
    return room?.batches[room.first];
  }

  push(batch: WriteBatch): void {
    const room = this.#byTag.get(batch.tag);
    if (room) {
      room.batches.push(new QueuedBatch(batch));
      return;
    }
    const added = { tag: batch.tag, batches: [new QueuedBatch(batch)], first: 0 };
    this.#byTag.set(batch.tag, added);
    this.#rooms.push(added);
  }

  /** The next room's turn. */
  next(): void {
    this.#turn = this.#turn + 1 < this.#rooms.length ? this.#turn + 1 : 0;
  }

  /** Removes the current batch; then it is the next room's turn. */
  finishCurrent(): void {
    const room = this.#rooms[this.#turn];
    if (!room) return;
    room.first++;
    if (room.first === room.batches.length) return this.#remove(room);
    if (room.first >= COMPACT_AFTER) {
      room.batches.splice(0, room.first);
      room.first = 0;
    }
    this.next();
  }

  /** Removes one room and gives what it had queued. */
  take(tag: RoomTag): WriteBatch[] {
    const room = this.#byTag.get(tag);
    if (!room) return [];
    this.#remove(room);
    return waiting(room);
  }

  takeAll(): WriteBatch[] {
    const batches = this.#rooms.flatMap(waiting);
    this.#rooms.length = 0;
    this.#byTag.clear();
    this.#turn = 0;
    return batches;
  }

  #remove(room: QueuedRoom): void {
    const index = this.#rooms.indexOf(room);
    this.#rooms.splice(index, 1);
    this.#byTag.delete(room.tag);
    if (index < this.#turn) this.#turn--;
    if (this.#turn >= this.#rooms.length) this.#turn = 0;
  }
}

function waiting(room: QueuedRoom): WriteBatch[] {
  return room.batches.slice(room.first).map(({ batch }) => batch);
}

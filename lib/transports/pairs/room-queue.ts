import type { RoomTag, WriteBatch } from "../transport.ts";
import { QueuedBatch } from "./queued-batch.ts";

interface QueuedRoom {
  readonly tag: RoomTag;
  readonly batches: QueuedBatch[];
}

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
    return this.#rooms[this.#turn]?.batches[0];
  }

  push(batch: WriteBatch): void {
    const room = this.#byTag.get(batch.tag);
    if (room) {
      room.batches.push(new QueuedBatch(batch));
      return;
    }
    const added = { tag: batch.tag, batches: [new QueuedBatch(batch)] };
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
    room.batches.shift();
    if (room.batches.length > 0) this.next();
    else this.#remove(room);
  }

  /** Removes one room and gives what it had queued. */
  take(tag: RoomTag): WriteBatch[] {
    const room = this.#byTag.get(tag);
    if (!room) return [];
    this.#remove(room);
    return room.batches.map(({ batch }) => batch);
  }

  takeAll(): WriteBatch[] {
    const batches = this.#rooms.flatMap((room) => room.batches.map(({ batch }) => batch));
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

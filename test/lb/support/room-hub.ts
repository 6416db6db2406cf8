/** One side of a room: a request that waits in a mock engine. */
export interface RoomSide {
  readonly rid: readonly string[];
  readonly hangs: boolean;
  meet(): void;
  aborted(): void;
}

type RoleName = "prefill" | "decode";

/** Where the two halves of a request meet, as they do over a KV transfer. A half that nobody joins waits for ever. */
export class RoomHub {
  readonly #waiting = { prefill: new Map<number, RoomSide>(), decode: new Map<number, RoomSide>() };
  /** Every room ever used: they must never repeat. */
  readonly seen = { prefill: [] as number[], decode: [] as number[] };

  /** Halves that come do not meet, as where the transfer hangs. */
  apart = false;

  /** Requests that wait for their other half. */
  get orphans(): number {
    return new Set([...this.#waiting.prefill.values(), ...this.#waiting.decode.values()]).size;
  }

  join(role: RoleName, rooms: readonly number[], side: RoomSide): void {
    this.seen[role].push(...rooms);
    const other = this.#waiting[role === "prefill" ? "decode" : "prefill"];
    const peers = new Set(rooms.map((room) => other.get(room)));
    const [peer] = peers;
    if (!this.apart && peers.size === 1 && peer !== undefined && !side.hangs && !peer.hangs) {
      for (const room of rooms) other.delete(room);
      side.meet();
      peer.meet();
      return;
    }
    for (const room of rooms) this.#waiting[role].set(room, side);
  }

  leave(role: RoleName, side: RoomSide): void {
    const waiting = this.#waiting[role];
    for (const [room, waiter] of waiting) if (waiter === side) waiting.delete(room);
  }

  abort(role: RoleName, prefix: string): void {
    const waiting = this.#waiting[role];
    const told = new Set<RoomSide>();
    for (const [room, side] of waiting) {
      if (!side.rid.some((rid) => rid.startsWith(prefix))) continue;
      waiting.delete(room);
      told.add(side);
    }
    for (const side of told) side.aborted();
  }
}

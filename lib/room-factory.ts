import { now } from "./clock.ts";
import { KVTransferError, KVUserError } from "./errors.ts";
import { type KVLayout, type PoolCapacity, poolCapacity } from "./planner/index.ts";
import type { Command } from "./progress/command.ts";
import type { ProgressFigures, ProgressHost } from "./progress/host.ts";
import { KVReceiver, type ReceiverOptions } from "./receiver.ts";
import { RepeatFinder } from "./repeat-finder.ts";
import type { RoomHandle, RoomOwner } from "./room-handle.ts";
import type { RoomTable, SlotRef } from "./rooms/index.ts";
import { KVSender, type SenderOptions } from "./sender.ts";

/** What a manager's rooms are made from; tests give a host of their own. */
export interface RoomParts {
  readonly role: "prefill" | "decode";
  readonly layout: KVLayout;
  readonly table: RoomTable;
  readonly host: ProgressHost;
  readonly now?: () => number;
}

/** Makes a manager's senders and receivers and knows which rooms are live; whoever runs the progress stands behind it. */
export class RoomFactory implements AsyncDisposable {
  readonly role: "prefill" | "decode";
  readonly #table: RoomTable;
  readonly #host: ProgressHost;
  readonly #capacity: PoolCapacity;
  readonly #repeats: RepeatFinder;
  readonly #now: () => number;
  readonly #rooms = new Map<number, RoomHandle>();
  readonly #owner: RoomOwner;
  #closing: Promise<void> | undefined;

  constructor(parts: RoomParts) {
    this.role = parts.role;
    this.#table = parts.table;
    this.#host = parts.host;
    this.#now = parts.now ?? now;
    this.#capacity = poolCapacity(parts.layout);
    this.#repeats = new RepeatFinder(this.#capacity.pages);
    this.#owner = {
      table: this.#table,
      transports: this.#host.transports,
      submit: (command: Command) => this.#host.submit(command),
      roomEnded: (handle) => {
        if (this.#rooms.get(handle.room) === handle) this.#rooms.delete(handle.room);
        this.#host.unhold();
      },
    };
  }

  /** What this manager offers, best first. */
  get transports(): readonly string[] {
    return this.#host.transports;
  }

  /** What it cannot use, each with the reason. */
  get unusableTransports(): readonly string[] {
    return this.#host.unusable;
  }

  /** For leak checks and metrics: room slots taken, and what the progress holds. */
  get figures(): ProgressFigures & { readonly rooms: number } {
    return { rooms: this.#table.used, ...this.#host.figures };
  }

  createSender(options: SenderOptions): KVSender {
    this.#assertRole("createSender", "prefill");
    return this.#open(options.room, (ref) => new KVSender(this.#owner, ref, options, this.#capacity));
  }

  createReceiver(options: ReceiverOptions): KVReceiver {
    this.#assertRole("createReceiver", "decode");
    checkAddress(options.bootstrapAddr, options.room);
    return this.#open(options.room, (ref) => new KVReceiver(this.#owner, ref, options, this.#capacity, this.#repeats));
  }

  /**
   * Fails what is open, waits for the thread to stop. Idempotent.
   * @throws {KVTransferError} FENCE_PENDING if a peer that does not answer could still write to pages of this manager:
   * their memory must then stay mapped.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** For subclasses: what else is closed once the progress has stopped. */
  protected closed(): Promise<void> {
    return Promise.resolve();
  }

  async #close(): Promise<void> {
    const { unfenced } = await this.#host.close();
    await this.closed();
    if (unfenced === 0) return;
    const message = `${unfenced} rooms could not be fenced: keep the memory of their pages mapped`;
    throw new KVTransferError("FENCE_PENDING", message, { step: "close" });
  }

  #open<Handle extends RoomHandle>(room: number, make: (ref: SlotRef) => Handle): Handle {
    if (this.#closing) throw new KVUserError("CLOSED", "the manager is closed", { room });
    if (!Number.isSafeInteger(room) || room < 0) {
      throw new KVUserError("BAD_ARGUMENT", `a room is an integer from 0 to 2^53-1, not ${room}`);
    }
    if (this.#rooms.has(room)) throw new KVUserError("ROOM_EXISTS", `room ${room} is live already`, { room });
    const ref = this.#table.acquire(room, this.#now());
    this.#host.hold();
    const handle = make(ref);
    this.#rooms.set(room, handle);
    return handle;
  }

  #assertRole(call: string, role: "prefill" | "decode"): void {
    if (this.role === role) return;
    throw new KVUserError("WRONG_STATE", `${call}: this is a ${this.role} manager`);
  }
}

function checkAddress(address: string, room: number): void {
  if (/^.+:\d{1,5}$/.test(address)) return;
  throw new KVUserError("BAD_ARGUMENT", `bootstrapAddr must be host:port, not ${JSON.stringify(address)}`, { room });
}

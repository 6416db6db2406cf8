import { asTransferError, KVTransferError } from "../errors.ts";
import { PlanError } from "../planner/index.ts";
import { KVPoll } from "../rooms/index.ts";
import type { WriteBatch } from "../transports/transport.ts";
import type { Command } from "./command.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import type { EarlyRooms } from "./early-rooms.ts";
import type { OutboundPair } from "./outbound-pair.ts";
import type { Destination, SenderRoom } from "./prefill-rooms.ts";
import { giveUp, RoomBook } from "./room-book.ts";
import { Batches } from "./batches.ts";

/** The rooms of a prefill's engine: each is written as its pages are given and its destinations are known. */
export class SenderRooms {
  readonly book: RoomBook<SenderRoom>;
  readonly #dependencies: ProgressDependencies;
  readonly #early: EarlyRooms;
  readonly #failed: (destination: Destination, error: KVTransferError) => void;
  readonly #byNumber = new Map<number, SenderRoom>();
  readonly #batches: Batches;

  /** `failed` is told of each decode rank of a room that has failed. */
  constructor(
    dependencies: ProgressDependencies,
    early: EarlyRooms,
    failed: (destination: Destination, error: KVTransferError) => void,
  ) {
    this.#dependencies = dependencies;
    this.#early = early;
    this.#failed = failed;
    this.book = new RoomBook(dependencies.table, dependencies.now);
    this.#batches = new Batches(dependencies);
  }

  /** The live room of that number. */
  get(number: number): SenderRoom | undefined {
    return this.#byNumber.get(number);
  }

  execute(command: Command): void {
    switch (command.op) {
      case "open-sender":
        return this.#open(command);
      case "init-sender": {
        const room = this.book.get(command.ref);
        if (!room || room.ended || room.source) return;
        room.source = { auxIndex: command.auxIndex, pages: new Int32Array(command.numPages) };
        return this.drive(room);
      }
      case "send": {
        const room = this.book.get(command.ref);
        if (!room?.source || room.ended) return;
        room.source.pages.set(command.pages, room.supplied);
        room.supplied += command.pages.length;
        if (room.supplied === room.source.pages.length) {
          room.complete = true;
          this.#dependencies.table.setFigure(room.ref, "suppliedAt", this.#dependencies.now());
        }
        return this.drive(room);
      }
      case "abort":
      case "clear":
        return giveUp(command, this.book, (room, error) => this.fail(room, error));
    }
  }

  tick(now: number): void {
    for (const room of this.book) {
      if (room.ended || now < room.deadlineAt) continue;
      const peers = [...room.destinations.keys()].map((pair) => pair.peer).join(", ");
      const message = `the deadline passed waiting for ${room.waitingFor}`;
      this.fail(
        room,
        new KVTransferError("DEADLINE", message, { step: room.waitingFor, ...(peers ? { peer: peers } : {}) }),
      );
    }
  }

  /** Fails all rooms, or all in that state. */
  failAll(error: KVTransferError, state?: KVPoll): void {
    for (const room of this.book) {
      if (state === undefined || this.#dependencies.table.state(room.ref) === state) this.fail(room, error);
    }
  }

  /** Ended rooms whose pages are still being read. */
  get unfenced(): number {
    let unfenced = 0;
    for (const room of this.book) if (room.ended && !room.released) unfenced++;
    return unfenced;
  }

  written(batch: WriteBatch): void {
    const flight = this.#batches.land(batch);
    if (!flight) return;
    const { room, destination } = flight;
    destination.bytes += batch.plan.bytes + (batch.last?.aux.bytes ?? 0);
    if (batch.last) destination.done = true;
    if (room.ended) return this.#releaseIfLanded(room);
    this.drive(room);
  }

  unwritten(batch: WriteBatch, error: KVTransferError): void {
    const flight = this.#batches.land(batch);
    if (!flight) return;
    this.fail(flight.room, error);
    this.#releaseIfLanded(flight.room);
  }

  lost(pair: OutboundPair, error: KVTransferError): void {
    for (const room of this.book) {
      const destination = room.destinations.get(pair);
      if (!destination) continue;
      this.fail(room, error);
      // The end is closed: it writes nothing more, and reports nothing more either.
      for (const batch of destination.inFlight) this.#batches.land(batch);
      this.#releaseIfLanded(room);
    }
  }

  /** Takes a room as far as what is known allows. */
  drive(room: SenderRoom): void {
    if (room.ended) return;
    const [first] = room.destinations.values();
    if (!first || room.destinations.size < first.room.infos) return;
    const { table, now, timeouts } = this.#dependencies;
    if (table.state(room.ref) === KVPoll.Bootstrapping) {
      table.setDecodePrefixTokens(room.ref, first.room.decodePrefixTokens);
      table.advance(room.ref, KVPoll.WaitingForInput);
      room.waitingFor = "the engine's pages";
      room.deadlineAt = now() + timeouts.inputMs;
    }
    if (!room.source) return;
    if (room.supplied === 0 && !room.complete) return;
    if (table.advance(room.ref, KVPoll.Transferring)) {
      table.setFigure(room.ref, "startedAt", now());
      table.setTransport(room.ref, this.#dependencies.self.transports.indexOf(first.pair.transport ?? ""));
      room.waitingFor = "the last write";
      room.deadlineAt = now() + timeouts.transferMs;
    }
    try {
      for (const destination of room.destinations.values()) this.#batches.pump(room, room.source, destination);
    } catch (error) {
      // A plan that cannot be made: the two sides disagree on layouts or page numbers.
      const details = { step: "plan", peer: first.pair.peer, cause: error };
      const unplanned = error instanceof PlanError && new KVTransferError("REJECTED", error.message, details);
      return this.fail(room, unplanned || asTransferError(error, details));
    }
    for (const { done } of room.destinations.values()) if (!done) return;
    this.#succeed(room);
  }

  fail(room: SenderRoom, error: KVTransferError): void {
    if (!this.book.fail(room, error)) return;
    this.#early.failed(room.room, error);
    for (const destination of room.destinations.values()) {
      destination.pair.end?.cancel(destination.room.tag, error);
      this.#failed(destination, error);
    }
    this.#leave(room);
    this.#releaseIfLanded(room);
  }

  #open(command: Extract<Command, { op: "open-sender" }>): void {
    const { now, timeouts } = this.#dependencies;
    const abandoned = this.#early.abandoned(command.room);
    const room: SenderRoom = {
      ref: command.ref,
      room: command.room,
      deadlineAt: now() + timeouts.bootstrapMs,
      waitingFor: "decode's pages",
      ended: false,
      released: false,
      cleared: false,
      source: undefined,
      supplied: 0,
      complete: false,
      inFlight: 0,
      writingSince: 0,
      writingMs: 0,
      destinations: this.#early.take(command.room),
    };
    this.book.open(room);
    this.#byNumber.set(command.room, room);
    // Decode has come and gone before the engine: no one will ask again.
    if (abandoned) this.fail(room, abandoned);
    else this.drive(room);
  }

  #succeed(room: SenderRoom): void {
    const bytes = [...room.destinations.values()].reduce((sum, destination) => sum + destination.bytes, 0);
    this.#dependencies.table.setFigure(room.ref, "bytes", bytes);
    this.#dependencies.table.setFigure(room.ref, "writingMs", room.writingMs);
    this.#leave(room);
    this.book.succeed(room);
  }

  #leave(room: SenderRoom): void {
    this.#byNumber.delete(room.room);
    for (const { pair } of room.destinations.values()) pair.rooms--;
  }

  /** A failed room's source pages are free when no batch of it is under way. */
  #releaseIfLanded(room: SenderRoom): void {
    if (!room.ended) return;
    for (const { inFlight } of room.destinations.values()) if (inFlight.size > 0) return;
    this.book.release(room);
  }
}

import { asTransferError, KVTransferError } from "../errors.ts";
import { PlanError } from "../planner/index.ts";
import { encodeRelayed, type RelayedHeaders } from "../protocol/index.ts";
import { KVPoll } from "../rooms/index.ts";
import type { WriteBatch } from "../transports/transport.ts";
import type { Command } from "./command.ts";
import { DecodePeers } from "./decode-peers.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import { EarlyRooms } from "./early-rooms.ts";
import type { OutboundPair, OutboundPairEvents } from "./outbound-pair.ts";
import type { Destination, SenderRoom } from "./prefill-rooms.ts";
import { type LinkMessage, RegistryLink } from "./registry-link.ts";
import { giveUp, RoomBook } from "./room-book.ts";
import { RoomWriter } from "./room-writer.ts";

/**
 * A prefill manager's progress: answers decode ranks that want to connect, gathers who wants a room's pages, and writes
 * the pages as the engine gives them, the aux slot last.
 */
export class PrefillRole implements OutboundPairEvents {
  readonly rooms: RoomBook<SenderRoom>;
  readonly link: RegistryLink;
  readonly #dependencies: ProgressDependencies;
  readonly #byNumber = new Map<number, SenderRoom>();
  readonly #early: EarlyRooms;
  readonly #peers: DecodePeers;
  readonly #writer: RoomWriter;

  constructor(dependencies: ProgressDependencies, registryAddress: string) {
    this.#dependencies = dependencies;
    this.rooms = new RoomBook(dependencies.table, dependencies.now);
    this.link = new RegistryLink(registryAddress, dependencies, {
      heard: (_, message) => this.#hear(message),
      members: (_, gone) => {
        for (const { member, reason } of gone) this.#peers.lose(member.id, member.epoch, reason);
      },
      rejoined: () => undefined,
      silent: () => this.#loseRegistry(),
    });
    this.#peers = new DecodePeers(dependencies, this.link, this);
    this.#writer = new RoomWriter(dependencies);
    this.#early = new EarlyRooms({
      layout: dependencies.self.layout,
      now: dependencies.now,
      capacity: dependencies.table.capacity,
      waitMs: dependencies.timeouts.bootstrapMs,
      dropped: ({ pair, room }, error) => this.#tellFailed(pair.member.id, room, error),
    });
  }

  get pairCount(): number {
    return this.#peers.size;
  }

  get earlyRooms(): number {
    return this.#early.size;
  }

  execute(command: Command): void {
    switch (command.op) {
      case "open-sender":
        return this.#open(command);
      case "init-sender": {
        const room = this.rooms.get(command.ref);
        if (!room || room.ended || room.source) return;
        room.source = { auxIndex: command.auxIndex, pages: new Int32Array(command.numPages) };
        return this.#drive(room);
      }
      case "send": {
        const room = this.rooms.get(command.ref);
        if (!room?.source || room.ended) return;
        room.source.pages.set(command.pages, room.supplied);
        room.supplied += command.pages.length;
        if (room.supplied === room.source.pages.length) {
          room.complete = true;
          this.#dependencies.table.setFigure(room.ref, "suppliedAt", this.#dependencies.now());
        }
        return this.#drive(room);
      }
      case "abort":
      case "clear":
        return giveUp(command, this.rooms, (room, error) => this.#fail(room, error));
    }
  }

  /** Hears the registry, then moves data until `until`. */
  step(now: number, until: number): boolean {
    const heard = this.link.step(now);
    return this.#peers.step(now, until) || heard;
  }

  tick(now: number): void {
    for (const room of this.rooms) {
      if (room.ended || now < room.deadlineAt) continue;
      const peers = [...room.destinations.keys()].map((pair) => pair.peer).join(", ");
      const message = `the deadline passed waiting for ${room.waitingFor}`;
      this.#fail(
        room,
        new KVTransferError("DEADLINE", message, { step: room.waitingFor, ...(peers ? { peer: peers } : {}) }),
      );
    }
    this.#early.tick(now);
    this.#peers.tick(now);
  }

  get wakeAt(): number {
    return this.link.wakeAt;
  }

  forgive(gap: number): void {
    this.link.forgive(gap);
  }

  failAll(error: KVTransferError): void {
    for (const room of this.rooms) this.#fail(room, error);
  }

  /** Ended rooms whose pages are still being read. */
  get unfenced(): number {
    let unfenced = 0;
    for (const room of this.rooms) if (room.ended && !room.released) unfenced++;
    return unfenced;
  }

  close(): void {
    this.#peers.close();
    this.link.close();
  }

  // What pairs report.

  heard(_: OutboundPair, message: LinkMessage): void {
    this.#hear(message);
  }

  written(batch: WriteBatch): void {
    const flight = this.#writer.land(batch);
    if (!flight) return;
    const { room, destination } = flight;
    destination.bytes += batch.plan.bytes + (batch.last?.aux.bytes ?? 0);
    if (batch.last) destination.done = true;
    if (room.ended) return this.#releaseIfLanded(room);
    this.#drive(room);
  }

  failed(batch: WriteBatch, error: KVTransferError): void {
    const flight = this.#writer.land(batch);
    if (!flight) return;
    this.#fail(flight.room, error);
    this.#releaseIfLanded(flight.room);
  }

  lost(pair: OutboundPair, error: KVTransferError): void {
    for (const room of this.rooms) {
      const destination = room.destinations.get(pair);
      if (!destination) continue;
      this.#fail(room, error);
      // The end is closed: it writes nothing more, and reports nothing more either.
      for (const batch of destination.inFlight) this.#writer.land(batch);
      this.#releaseIfLanded(room);
    }
    this.#early.dropAllOf(pair, error);
  }

  // Rooms.

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
    this.rooms.open(room);
    this.#byNumber.set(command.room, room);
    // Decode has come and gone before the engine: no one will ask again.
    if (abandoned) this.#fail(room, abandoned);
    else this.#drive(room);
  }

  /** Takes a room as far as what is known allows. */
  #drive(room: SenderRoom): void {
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
      for (const destination of room.destinations.values()) this.#writer.pump(room, room.source, destination);
    } catch (error) {
      // A plan that cannot be made: the two sides disagree on layouts or page numbers.
      const details = { step: "plan", peer: first.pair.peer, cause: error };
      const unplanned = error instanceof PlanError && new KVTransferError("REJECTED", error.message, details);
      return this.#fail(room, unplanned || asTransferError(error, details));
    }
    for (const { done } of room.destinations.values()) if (!done) return;
    this.#succeed(room);
  }

  #succeed(room: SenderRoom): void {
    const bytes = [...room.destinations.values()].reduce((sum, destination) => sum + destination.bytes, 0);
    this.#dependencies.table.setFigure(room.ref, "bytes", bytes);
    this.#dependencies.table.setFigure(room.ref, "writingMs", room.writingMs);
    this.#leave(room);
    this.rooms.succeed(room);
  }

  #fail(room: SenderRoom, error: KVTransferError): void {
    if (!this.rooms.fail(room, error)) return;
    this.#early.failed(room.room, error);
    for (const destination of room.destinations.values()) {
      destination.pair.end?.cancel(destination.room.tag, error);
      this.#tellFailed(destination.pair.member.id, destination.room, error);
    }
    this.#leave(room);
    this.#releaseIfLanded(room);
  }

  #leave(room: SenderRoom): void {
    this.#byNumber.delete(room.room);
    for (const { pair } of room.destinations.values()) pair.rooms--;
  }

  /** A failed room's source pages are free when no batch of it is under way. */
  #releaseIfLanded(room: SenderRoom): void {
    if (!room.ended) return;
    for (const { inFlight } of room.destinations.values()) if (inFlight.size > 0) return;
    this.rooms.release(room);
  }

  #tellFailed(decode: string, { room, tag }: RelayedHeaders["room"], error: KVTransferError): void {
    this.link.send(encodeRelayed("failed", decode, { room, tag, error: error.toRecord() }));
  }

  // Peers.

  #hear(message: LinkMessage): void {
    switch (message.type) {
      case "connect":
        return this.#peers.connect(message.from, message.header);
      case "ready":
        return this.#peers.get(message.header.pair)?.confirm();
      case "room":
        return this.#announced(message.from, message.header, message.pages);
      case "abort": {
        const { room: number, tag, error } = message.header;
        const why = new KVTransferError("ABORTED", `decode gave up: ${error.message}`, {
          peer: message.from,
          step: "abort",
        });
        const room = this.#byNumber.get(number);
        const wants = (each: Destination): boolean => each.room.tag === tag && each.pair.member.id === message.from;
        if (room && [...room.destinations.values()].some(wants)) return this.#fail(room, why);
        this.#early.drop(number, why, wants);
      }
    }
  }

  /** A decode rank tells its pages for a room, before or after the engine has made the sender. */
  #announced(from: string, header: RelayedHeaders["room"], pages: Int32Array<ArrayBuffer>): void {
    const room = this.#byNumber.get(header.room);
    const pair = this.#peers.get(header.pair);
    try {
      if (!pair?.ready || pair.member.id !== from) {
        const message = "prefill does not know this pair; it may have been restarted";
        throw new KVTransferError("PEER_LOST", message, { step: "room" });
      }
      this.#early.announce({ pair, header, pages }, room?.destinations);
    } catch (error) {
      return this.#tellFailed(from, header, asTransferError(error, { step: "room" }));
    }
    if (room) this.#drive(room);
  }

  /** Rooms that no decode has asked for yet cannot be asked for any more; those that write go on. */
  #loseRegistry(): void {
    const message = `the registry has not answered for ${this.#dependencies.timeouts.leaseMs} ms`;
    const error = new KVTransferError("REGISTRY_LOST", message, {
      peer: `registry ${this.link.address}`,
      step: "bootstrap",
    });
    for (const room of this.rooms) {
      if (this.#dependencies.table.state(room.ref) === KVPoll.Bootstrapping) this.#fail(room, error);
    }
  }
}

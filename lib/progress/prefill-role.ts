import { asTransferError, KVTransferError } from "../errors.ts";
import {
  decodeRanksOf,
  emptyPlan,
  type KVLayout,
  pairLayouts,
  planAux,
  PlanError,
  planPages,
  type WritePlan,
} from "../planner/index.ts";
import { encodeRelayed, type RelayedHeaders } from "../protocol/index.ts";
import { KVPoll } from "../rooms/index.ts";
import type { OutboundEnd, WriteBatch } from "../transports/transport.ts";
import type { Command } from "./command.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import { OutboundPair, type OutboundPairEvents } from "./outbound-pair.ts";
import type { Destination, EarlyRoom, SenderRoom } from "./prefill-rooms.ts";
import { RecentFailures } from "./recent-failures.ts";
import { type LinkMessage, RegistryLink } from "./registry-link.ts";
import { RoomBook } from "./room-book.ts";

/** Planned at a time for one room and peer, so that planning a large room holds up nothing else. */
const WRITES_PER_BATCH = 8_192;
const BATCHES_IN_FLIGHT = 2;
const KEEP_ALIVES_PER_LEASE = 5;

/**
 * A prefill manager's progress: answers decode ranks that want to connect, gathers who wants a room's pages, and writes
 * the pages as the engine gives them, the aux slot last.
 */
export class PrefillRole implements OutboundPairEvents {
  readonly rooms: RoomBook<SenderRoom>;
  readonly link: RegistryLink;
  readonly #dependencies: ProgressDependencies;
  readonly #byNumber = new Map<number, SenderRoom>();
  readonly #early = new Map<number, EarlyRoom>();
  readonly #recentFailures = new RecentFailures();
  readonly #pairs = new Map<string, OutboundPair>();
  readonly #flights = new Map<WriteBatch, { readonly room: SenderRoom; readonly destination: Destination }>();
  #nextKeepAliveAt = 0;
  #turn = 0;

  constructor(dependencies: ProgressDependencies, registryAddress: string) {
    this.#dependencies = dependencies;
    this.rooms = new RoomBook(dependencies.table, dependencies.now);
    this.link = new RegistryLink(registryAddress, dependencies, {
      heard: (_, message) => this.#hear(message),
      members: (_, gone) => {
        for (const { member, reason } of gone) this.#loseMember(member.id, member.epoch, reason);
      },
      rejoined: () => undefined,
      silent: () => this.#loseRegistry(),
    });
  }

  get pairCount(): number {
    return this.#pairs.size;
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
      case "abort": {
        const room = this.rooms.get(command.ref);
        if (room) this.#fail(room, new KVTransferError("ABORTED", command.reason, { step: "abort" }));
        return;
      }
      case "clear": {
        const room = this.rooms.get(command.ref);
        if (!room) return;
        this.#fail(room, new KVTransferError("ABORTED", "cleared before its end", { step: "clear" }));
        return this.rooms.clear(room);
      }
    }
  }

  /** Hears the registry, then moves data until `until`: each pair in its turn, a different one first each time. */
  step(now: number, until: number): boolean {
    let busy = this.link.step(now);
    const pairs = [...this.#pairs.values()];
    this.#turn++;
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairs[(i + this.#turn) % pairs.length]!;
      const share = now + ((until - now) * (i + 1)) / pairs.length;
      busy = pair.step(Math.max(share, now)) || busy;
    }
    return busy;
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
    for (const [number, early] of this.#early) {
      if (now < early.deadlineAt) continue;
      this.#dropEarly(
        number,
        new KVTransferError("DEADLINE", "prefill got no such request in time", { step: "bootstrap" }),
      );
    }
    for (const pair of this.#pairs.values()) {
      if (pair.ready || now < pair.deadlineAt) continue;
      pair.fail(
        new KVTransferError("DEADLINE", "the pair did not connect in time", { peer: pair.peer, step: "connect" }),
      );
    }
    if (now >= this.#nextKeepAliveAt) {
      this.#nextKeepAliveAt = now + this.#dependencies.timeouts.leaseMs / KEEP_ALIVES_PER_LEASE;
      for (const pair of this.#pairs.values()) if (pair.rooms > 0) pair.keepAlive();
    }
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
    for (const pair of this.#pairs.values()) pair.close();
    this.link.close();
  }

  // What pairs report.

  heard(_: OutboundPair, message: LinkMessage): void {
    this.#hear(message);
  }

  written(batch: WriteBatch): void {
    const flight = this.#land(batch);
    if (!flight) return;
    const { room, destination } = flight;
    destination.bytes += batch.plan.bytes + (batch.last?.aux.bytes ?? 0);
    if (batch.last) destination.done = true;
    if (room.ended) return this.#releaseIfLanded(room);
    this.#drive(room);
  }

  failed(batch: WriteBatch, error: KVTransferError): void {
    const flight = this.#land(batch);
    if (!flight) return;
    this.#fail(flight.room, error);
    this.#releaseIfLanded(flight.room);
  }

  lost(pair: OutboundPair, error: KVTransferError): void {
    this.#pairs.delete(pair.id);
    const named =
      error.code === "NATIVE" ? new KVTransferError("PEER_LOST", error.message, { ...error.toRecord() }) : error;
    for (const room of this.rooms) {
      const destination = room.destinations.get(pair);
      if (!destination) continue;
      this.#fail(room, named);
      // The end is closed: it writes nothing more, and reports nothing more either.
      for (const batch of destination.inFlight) this.#land(batch);
      this.#releaseIfLanded(room);
    }
    for (const [number, early] of this.#early) if (early.destinations.has(pair)) this.#dropEarly(number, named);
  }

  // Rooms.

  #open(command: Extract<Command, { op: "open-sender" }>): void {
    const { now, timeouts } = this.#dependencies;
    const early = this.#early.get(command.room);
    this.#early.delete(command.room);
    this.#recentFailures.forget(command.room);
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
      destinations: early?.destinations ?? new Map(),
    };
    this.rooms.open(room);
    this.#byNumber.set(command.room, room);
    this.#drive(room);
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
      for (const destination of room.destinations.values()) this.#pump(room, room.source, destination);
    } catch (error) {
      // A plan that cannot be made: the two sides disagree on layouts or page numbers.
      const details = { step: "plan", peer: first.pair.peer, cause: error };
      const unplanned = error instanceof PlanError && new KVTransferError("REJECTED", error.message, details);
      return this.#fail(room, unplanned || asTransferError(error, details));
    }
    for (const { done } of room.destinations.values()) if (!done) return;
    this.#succeed(room);
  }

  /** Queues what may be written to one decode rank now. */
  #pump(room: SenderRoom, source: NonNullable<SenderRoom["source"]>, destination: Destination): void {
    const { pages: from, auxIndex } = source;
    const { pages: to, pair } = destination;
    if (destination.room.dummy) {
      destination.done = room.complete;
      return;
    }
    if (from.length !== to.length) {
      throw new KVTransferError(
        "REJECTED",
        `prefill has ${from.length} pages for the room, decode made room for ${to.length}`,
      );
    }
    const end = pair.end;
    if (!end) throw new KVTransferError("PEER_LOST", "the pair is not connected", { peer: pair.peer });
    const layout = this.#dependencies.self.layout;
    const step = pagesPerBatch(layout, pair.member.layout);
    while (destination.inFlight.size < BATCHES_IN_FLIGHT && !destination.lastQueued) {
      const until = Math.min(room.supplied, destination.planned + step);
      const last = room.complete && until === from.length;
      if (until === destination.planned && !last) return;
      const plan = planPages({
        ...sides(layout, pair, end),
        sourcePages: from.subarray(destination.planned, until),
        destinationPages: to.subarray(destination.planned, until),
        gatherLimit: end.gatherLimit,
      });
      destination.planned = until;
      this.#launch(room, destination, end, plan, last ? auxIndex : undefined);
    }
  }

  #launch(
    room: SenderRoom,
    destination: Destination,
    end: OutboundEnd,
    plan: WritePlan,
    auxIndex: number | undefined,
  ): void {
    const { tag, auxIndex: destinationIndex } = destination.room;
    let batch: WriteBatch = { tag, plan };
    if (auxIndex !== undefined) {
      const layout = this.#dependencies.self.layout;
      const aux = destination.sendsAux
        ? planAux({ ...sides(layout, destination.pair, end), sourceIndex: auxIndex, destinationIndex })
        : emptyPlan;
      destination.lastQueued = true;
      const before = [...destination.inFlight].reduce((sum, each) => sum + each.plan.bytes, destination.bytes);
      batch = { tag, plan, last: { aux, totalBytes: before + plan.bytes + aux.bytes } };
    }
    destination.inFlight.add(batch);
    if (room.inFlight++ === 0) room.writingSince = this.#dependencies.now();
    this.#flights.set(batch, { room, destination });
    end.write(batch);
  }

  #succeed(room: SenderRoom): void {
    const bytes = [...room.destinations.values()].reduce((sum, destination) => sum + destination.bytes, 0);
    this.#dependencies.table.setFigure(room.ref, "bytes", bytes);
    this.#dependencies.table.setFigure(room.ref, "writingMs", room.writingMs);
    this.#leave(room);
    this.rooms.succeed(room);
    this.rooms.release(room);
  }

  #fail(room: SenderRoom, error: KVTransferError): void {
    if (!this.rooms.fail(room, error)) return;
    this.#recentFailures.add(room.room, error, this.#dependencies.now());
    for (const destination of room.destinations.values()) {
      destination.pair.end?.cancel(destination.room.tag, error);
      this.#tellFailed(destination, error);
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

  #land(batch: WriteBatch): { room: SenderRoom; destination: Destination } | undefined {
    const flight = this.#flights.get(batch);
    this.#flights.delete(batch);
    if (!flight) return undefined;
    const { room, destination } = flight;
    destination.inFlight.delete(batch);
    if (--room.inFlight === 0) room.writingMs += this.#dependencies.now() - room.writingSince;
    return flight;
  }

  #tellFailed({ pair, room }: Destination, error: KVTransferError): void {
    const header = { room: room.room, tag: room.tag, error: error.toRecord() };
    this.link.send(encodeRelayed("failed", pair.member.id, header));
  }

  // Peers.

  #hear(message: LinkMessage): void {
    switch (message.type) {
      case "connect":
        return this.#connect(message.from, message.header);
      case "ready":
        return this.#pairs.get(message.header.pair)?.confirm();
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
        const early = this.#early.get(number);
        if (early && [...early.destinations.values()].some(wants)) this.#dropEarly(number, why);
      }
    }
  }

  #connect(from: string, header: RelayedHeaders["connect"]): void {
    const member = this.link.members.get(from);
    if (!member || this.#pairs.has(header.pair)) return;
    const pair = new OutboundPair(header, member, this.link, this.#dependencies, this);
    this.#pairs.set(pair.id, pair);
    try {
      pairLayouts(this.#dependencies.self.layout, member.layout);
    } catch (error) {
      return pair.fail(
        new KVTransferError("LAYOUT_MISMATCH", (error as Error).message, { peer: from, step: "connect" }),
      );
    }
    pair.dial();
  }

  /** A decode rank tells its pages for a room, before or after the engine has made the sender. */
  #announced(from: string, header: RelayedHeaders["room"], pages: Int32Array<ArrayBuffer>): void {
    const { now, timeouts, self, table } = this.#dependencies;
    const pair = this.#pairs.get(header.pair);
    const refuse = (error: KVTransferError): void => {
      const answer = { room: header.room, tag: header.tag, error: error.toRecord() };
      this.link.send(encodeRelayed("failed", from, answer));
    };
    if (!pair?.ready || pair.member.id !== from) {
      return refuse(
        new KVTransferError("PEER_LOST", "prefill does not know this pair; it may have been restarted", {
          step: "room",
        }),
      );
    }
    const failure = this.#recentFailures.get(header.room, now());
    const room = this.#byNumber.get(header.room);
    if (failure && !room) return refuse(failure);
    let destinations = room?.destinations ?? this.#early.get(header.room)?.destinations;
    if (!destinations) {
      if (this.#early.size >= table.capacity) {
        return refuse(
          new KVTransferError("REJECTED", `${table.capacity} rooms wait for requests already`, { step: "room" }),
        );
      }
      destinations = new Map();
      this.#early.set(header.room, { destinations, deadlineAt: now() + timeouts.bootstrapMs });
    }
    if (destinations.has(pair)) {
      return refuse(
        new KVTransferError("REJECTED", `room ${header.room} is live already`, { step: "room", room: header.room }),
      );
    }
    pair.rooms++;
    const { links } = decodeRanksOf(
      {
        prefill: self.layout,
        decode: pair.member.layout,
        attention: self.layout.attention,
        totalKvHeads: self.layout.totalKvHeads,
      },
      self.layout,
    );
    destinations.set(pair, {
      pair,
      room: header,
      pages,
      sendsAux: links.some((link) => link.aux),
      planned: 0,
      inFlight: new Set(),
      bytes: 0,
      lastQueued: false,
      done: false,
    });
    if (room) this.#drive(room);
  }

  #dropEarly(number: number, error: KVTransferError): void {
    const early = this.#early.get(number);
    if (!early) return;
    this.#early.delete(number);
    this.#recentFailures.add(number, error, this.#dependencies.now());
    for (const destination of early.destinations.values()) {
      destination.pair.rooms--;
      this.#tellFailed(destination, error);
    }
  }

  #loseMember(id: string, epoch: string, reason: string): void {
    for (const pair of this.#pairs.values()) {
      if (pair.member.id !== id || pair.member.epoch !== epoch) continue;
      pair.fail(new KVTransferError("PEER_LOST", `decode is gone: ${reason}`, { peer: pair.peer, step: "lease" }));
    }
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

function sides(source: KVLayout, pair: OutboundPair, end: OutboundEnd) {
  const destination = pair.member.layout;
  return end.destinationBases
    ? { source, destination, destinationBases: end.destinationBases }
    : { source, destination };
}

/** Pages of one batch; where heads are sliced, every token is a write. */
function pagesPerBatch(source: KVLayout, destination: KVLayout): number {
  const perPage = source.buffers.length * (source.kvHeads === destination.kvHeads ? 1 : source.pageSize);
  return Math.max(1, Math.floor(WRITES_PER_BATCH / perPage));
}

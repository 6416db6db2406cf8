import { asTransferError, KVTransferError } from "../errors.ts";
import {
  pairLayouts,
  PlanError,
  prefillRanksOf,
  prefillReplica,
  decodeRanksOf,
  type RankMapping,
} from "../planner/index.ts";
import type { Member } from "../protocol/index.ts";
import { KVPoll, tagToRef, toTag } from "../rooms/index.ts";
import type { RoomTag } from "../transports/transport.ts";
import type { Command } from "./command.ts";
import type { ReceiverRoom, RoomSource } from "./decode-rooms.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import { InboundPair, type InboundPairEvents } from "./inbound-pair.ts";
import { PageOwners } from "./page-owners.ts";
import { RegistryLink, type LinkMessage } from "./registry-link.ts";
import { RoomBook } from "./room-book.ts";

/**
 * A decode manager's progress: finds the prefill ranks of each room through its registry, connects to them, tells them
 * the room's pages, and waits for the last byte of each. Pages of a failed room stay taken until no write can land.
 */
export class DecodeRole implements InboundPairEvents {
  readonly rooms: RoomBook<ReceiverRoom>;
  readonly owners: PageOwners;
  readonly #dependencies: ProgressDependencies;
  readonly #links = new Map<string, { readonly link: RegistryLink; idleSince: number }>();
  /** By member id: the pair that new rooms use. */
  readonly #pairs = new Map<string, InboundPair>();
  /** Pairs that no new room uses, but by which writes of failed rooms could still land. */
  readonly #retired = new Set<InboundPair>();
  #pairCount = 0;

  constructor(dependencies: ProgressDependencies) {
    this.#dependencies = dependencies;
    this.rooms = new RoomBook(dependencies.table, dependencies.now);
    this.owners = new PageOwners(dependencies.self.layout);
  }

  /** The transport that a room's pairs use, for its metric. */
  get pairCount(): number {
    return this.#pairs.size + this.#retired.size;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  execute(command: Command): void {
    switch (command.op) {
      case "open-receiver":
        return this.#open(command);
      case "init-receiver": {
        const room = this.rooms.get(command.ref);
        if (!room || room.ended || room.destination) return;
        room.destination = command;
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

  step(now: number): boolean {
    let heard = false;
    for (const { link } of this.#links.values()) heard = link.step(now) || heard;
    return heard;
  }

  /** Deadlines, leases, idle connections. */
  tick(now: number): void {
    for (const room of this.rooms) {
      if (!room.ended && now >= room.deadlineAt) this.#fail(room, this.#deadline(room));
    }
    const { leaseMs, idleMs } = this.#dependencies.timeouts;
    for (const pair of this.#pairs.values()) {
      if (!pair.ready && now >= pair.deadlineAt) {
        pair.close();
        this.lost(
          pair,
          new KVTransferError("DEADLINE", "the pair did not connect in time", { peer: pair.peer, step: "connect" }),
        );
      } else if (pair.rooms > 0 && now - pair.lastHeardAt > leaseMs) {
        this.#lose(pair, `not heard of for ${Math.round(now - pair.lastHeardAt)} ms (lease ${leaseMs} ms)`);
      }
    }
    for (const [address, entry] of this.#links) {
      if (this.#roomsOf(entry.link).length > 0) entry.idleSince = now;
      else if (now - entry.idleSince > idleMs) this.#closeLink(address, entry.link);
    }
  }

  get wakeAt(): number {
    let wake = Infinity;
    for (const { link } of this.#links.values()) wake = Math.min(wake, link.wakeAt);
    return wake;
  }

  forgive(gap: number): void {
    for (const { link } of this.#links.values()) link.forgive(gap);
    for (const pair of this.#pairs.values()) pair.lastHeardAt += gap;
  }

  failAll(error: KVTransferError): void {
    for (const room of this.rooms) this.#fail(room, error);
  }

  /** Rooms whose pages a peer could still write to. */
  get unfenced(): number {
    let unfenced = 0;
    for (const room of this.rooms) if (room.fences.size > 0) unfenced++;
    return unfenced;
  }

  close(): void {
    for (const pair of [...this.#pairs.values(), ...this.#retired]) pair.close();
    for (const { link } of this.#links.values()) link.close();
  }

  // What pairs report.

  ready(pair: InboundPair): void {
    this.#driveAll((room) => room.sources?.some((source) => source.pair === pair) ?? false);
  }

  arrived(pair: InboundPair, tag: RoomTag, totalBytes: number): void {
    const room = this.rooms.byTag(tag);
    if (!room || room.ended || !room.announced || room.arrived.has(pair)) return;
    room.arrived.add(pair);
    room.bytes += totalBytes;
    if (room.arrived.size < room.completions) return;
    this.#dependencies.table.setFigure(room.ref, "bytes", room.bytes);
    for (const { pair: each } of room.sources!) each.forget(tag);
    this.#disown(room);
    this.rooms.succeed(room);
    this.rooms.release(room);
  }

  fenced(pair: InboundPair, tag: RoomTag): void {
    const room = this.rooms.get(tagToRef(tag));
    if (room) this.#unfence(room, pair);
    this.#dropIfFenced(pair);
  }

  lost(pair: InboundPair, error: KVTransferError): void {
    this.#retired.delete(pair);
    if (this.#pairs.get(pair.member.id) === pair) this.#pairs.delete(pair.member.id);
    const named = new KVTransferError(error.code === "NATIVE" ? "PEER_LOST" : error.code, error.message, {
      peer: pair.peer,
      step: error.step ?? "transfer",
      ...(error.status === undefined ? {} : { status: error.status }),
    });
    for (const room of this.rooms) {
      if (!room.sources?.some((source) => source.pair === pair)) continue;
      this.#fail(room, named);
      this.#unfence(room, pair);
    }
  }

  // Rooms.

  #open(command: Extract<Command, { op: "open-receiver" }>): void {
    const { now, timeouts } = this.#dependencies;
    const room: ReceiverRoom = {
      ref: command.ref,
      room: command.room,
      link: this.#linkTo(command.bootstrapAddr),
      deadlineAt: now() + timeouts.bootstrapMs,
      waitingFor: "prefill to be known",
      ended: false,
      released: false,
      cleared: false,
      destination: undefined,
      sources: undefined,
      completions: 0,
      announced: false,
      arrived: new Set(),
      bytes: 0,
      fences: new Set(),
    };
    this.rooms.open(room);
    this.#drive(room);
  }

  /** Takes a room as far as what is known allows. */
  #drive(room: ReceiverRoom): void {
    if (room.ended || room.announced) return;
    try {
      room.sources = this.#sourcesOf(room);
    } catch (error) {
      if (!(error instanceof PlanError)) throw error;
      return this.#fail(room, new KVTransferError("LAYOUT_MISMATCH", error.message, { step: "connect", cause: error }));
    }
    if (!room.sources) return;
    room.waitingFor = "the pair to connect";
    if (room.sources.some(({ pair }) => !pair.ready)) return;
    const { table, now, timeouts } = this.#dependencies;
    if (table.advance(room.ref, KVPoll.WaitingForInput)) {
      room.waitingFor = "the receiver's pages";
      room.deadlineAt = now() + timeouts.inputMs;
    }
    if (room.destination) this.#announce(room, room.sources, room.destination);
  }

  #announce(
    room: ReceiverRoom,
    sources: readonly RoomSource[],
    destination: NonNullable<ReceiverRoom["destination"]>,
  ): void {
    const { table, now, timeouts } = this.#dependencies;
    const tag = toTag(room.ref);
    const { pages, auxIndex, decodePrefixTokens } = destination;
    this.owners.assign(tag, pages, auxIndex);
    room.announced = true;
    room.waitingFor = "the last byte";
    room.deadlineAt = now() + timeouts.transferMs;
    table.setFigure(room.ref, "startedAt", now());
    table.setTransport(room.ref, this.#dependencies.self.transports.indexOf(sources[0]?.pair.transport ?? ""));
    for (const { pair, dummy, infos } of sources) {
      pair.expect(tag);
      const header = { pair: pair.id, room: room.room, tag, auxIndex, decodePrefixTokens, dummy, infos };
      pair.tell("room", header, pages);
    }
    table.advance(room.ref, KVPoll.Transferring);
  }

  #fail(room: ReceiverRoom, error: KVTransferError): void {
    if (!this.rooms.fail(room, error)) return;
    if (room.announced) {
      const tag = toTag(room.ref);
      const reason = error.toRecord();
      for (const { pair } of room.sources!) {
        pair.tell("abort", { room: room.room, tag, error: reason });
        if (!pair.revoke(tag)) room.fences.add(pair);
        this.#dropIfFenced(pair);
      }
    }
    this.#releaseIfFenced(room);
  }

  #unfence(room: ReceiverRoom, pair: InboundPair): void {
    if (room.fences.delete(pair)) this.#releaseIfFenced(room);
  }

  #releaseIfFenced(room: ReceiverRoom): void {
    if (!room.ended || room.fences.size > 0) return;
    this.#disown(room);
    this.rooms.release(room);
  }

  #disown(room: ReceiverRoom): void {
    if (room.announced) this.owners.unassign(toTag(room.ref), room.destination!.pages, room.destination!.auxIndex);
  }

  #deadline(room: ReceiverRoom): KVTransferError {
    const refusal = room.sources ? undefined : room.link.refusal;
    const why = refusal ? `; the registry says ${refusal}` : "";
    return new KVTransferError("DEADLINE", `the deadline passed waiting for ${room.waitingFor}${why}`, {
      step: room.waitingFor,
      peer: room.sources?.map(({ pair }) => pair.peer).join(", ") ?? `registry ${room.link.address}`,
    });
  }

  // Peers.

  #linkTo(address: string): RegistryLink {
    const known = this.#links.get(address);
    if (known) return known.link;
    const link: RegistryLink = new RegistryLink(address, this.#dependencies, {
      heard: (_, message) => this.#hear(message),
      members: (of, gone) => {
        for (const { member, reason } of gone) {
          const pair = this.#pairs.get(member.id);
          if (pair?.member.epoch === member.epoch) this.#lose(pair, reason);
        }
        this.#driveAll((room) => room.link === of);
      },
      rejoined: (of) => {
        for (const pair of this.#pairs.values()) if (pair.link === of && !pair.ready) this.#retire(pair);
        this.#driveAll((room) => room.link === of);
      },
      silent: (of) => this.#loseRegistry(of),
    });
    this.#links.set(address, { link, idleSince: this.#dependencies.now() });
    return link;
  }

  #hear(message: LinkMessage): void {
    switch (message.type) {
      case "accept":
        return this.#pairOf(message.header.pair)?.accept(message.header);
      case "reject": {
        const pair = this.#pairOf(message.header.pair);
        if (!pair || pair.ready) return;
        pair.close();
        return this.lost(pair, KVTransferError.fromRecord(message.header.error));
      }
      case "failed": {
        const room = this.rooms.byTag(message.header.tag);
        if (room?.room !== message.header.room) return;
        const { code, message: text, ...details } = message.header.error;
        const peer = details.peer ?? message.from;
        return this.#fail(
          room,
          new KVTransferError(code === "ABORTED" ? "PEER_FAILED" : code, text, { ...details, peer }),
        );
      }
      case "error":
        return this.#refused(message.header);
    }
  }

  /** The registry could not hand a message on: whom it was for is not there. */
  #refused(header: Extract<LinkMessage, { type: "error" }>["header"]): void {
    if (header.code !== "UNKNOWN_MEMBER") return;
    const error = new KVTransferError("PEER_LOST", header.message, {
      peer: header.to ?? "",
      step: header.about ?? "relay",
    });
    for (const room of this.rooms) {
      if (room.ended || room.room !== header.room) continue;
      this.#fail(room, error);
    }
    const pair = header.pair === undefined ? undefined : this.#pairOf(header.pair);
    if (!pair || pair.ready) return;
    // What we know of the member is old: its rooms wait for it to join again.
    pair.link.members.delete(pair.member.id);
    this.#retire(pair);
  }

  /** The prefill ranks of a room and the pairs to them; undefined while one of them is not known. */
  #sourcesOf(room: ReceiverRoom): RoomSource[] | undefined {
    const { self } = this.#dependencies;
    const members = [...room.link.members.values()];
    const any = members[0];
    if (!any) return undefined;
    const dpRank = prefillReplica(room.room, { ...sizeOf(any), dpSize: any.dpSize }, room.destination?.prefillDpRank);
    const mapping: RankMapping = { prefill: sizeOf(any), decode: sizeOf(self), ...sharding(any) };
    const { links, completions } = prefillRanksOf(mapping, self.layout);
    room.completions = completions;
    const sources: RoomSource[] = [];
    for (const { tpRank, ppRank, dummy } of links) {
      const member = members.find(
        ({ dpRank: dp, layout }) => dp === dpRank && layout.tpRank === tpRank && layout.ppRank === ppRank,
      );
      if (!member) return undefined;
      pairLayouts(member.layout, self.layout);
      const { infos } = decodeRanksOf(mapping, { tpRank, ppRank });
      sources.push({ pair: this.#pairTo(member, room.link), dummy, infos });
    }
    return sources;
  }

  #pairTo(member: Member, link: RegistryLink): InboundPair {
    const known = this.#pairs.get(member.id);
    if (known && !known.closed && known.link === link && known.member.epoch === member.epoch) return known;
    if (known) this.#retire(known);
    const id = `${this.#dependencies.self.epoch}.${++this.#pairCount}`;
    const pair = new InboundPair(id, member, link, this.#dependencies, this);
    this.#pairs.set(member.id, pair);
    return pair;
  }

  #pairOf(id: string): InboundPair | undefined {
    for (const pair of this.#pairs.values()) if (pair.id === id) return pair;
    return undefined;
  }

  /**
   * A peer is taken for dead: the rooms it knew of fail now, their pages come back when no write of its can land. Rooms
   * that it did not know of yet wait for whoever takes its place.
   */
  #lose(pair: InboundPair, reason: string): void {
    const error = new KVTransferError("PEER_LOST", `prefill is gone: ${reason}`, { peer: pair.peer, step: "lease" });
    for (const room of this.rooms) {
      if (room.announced && room.sources?.some((source) => source.pair === pair)) this.#fail(room, error);
    }
    this.#retire(pair);
  }

  #loseRegistry(link: RegistryLink): void {
    const { leaseMs } = this.#dependencies.timeouts;
    const message = `the registry has not answered for ${leaseMs} ms`;
    const error = new KVTransferError("REGISTRY_LOST", message, {
      peer: `registry ${link.address}`,
      step: "bootstrap",
    });
    for (const room of this.#roomsOf(link)) if (!room.announced) this.#fail(room, error);
  }

  #retire(pair: InboundPair): void {
    this.#pairs.delete(pair.member.id);
    this.#retired.add(pair);
    this.#dropIfFenced(pair);
  }

  #dropIfFenced(pair: InboundPair): void {
    if (!this.#retired.has(pair) || pair.unfenced > 0 || pair.rooms > 0) return;
    this.#retired.delete(pair);
    pair.close();
  }

  #closeLink(address: string, link: RegistryLink): void {
    for (const pair of this.#pairs.values()) if (pair.link === link) this.#retire(pair);
    for (const pair of this.#retired) if (pair.link === link) return;
    this.#links.delete(address);
    link.close();
  }

  #roomsOf(link: RegistryLink): ReceiverRoom[] {
    return [...this.rooms].filter((room) => room.link === link && !room.ended);
  }

  #driveAll(which: (room: ReceiverRoom) => boolean): void {
    for (const room of this.rooms) {
      if (room.ended || room.announced || !which(room)) continue;
      try {
        this.#drive(room);
      } catch (error) {
        this.#fail(room, asTransferError(error));
      }
    }
  }
}

function sizeOf({ layout }: Member): { tpSize: number; ppSize: number } {
  return { tpSize: layout.tpSize, ppSize: layout.ppSize };
}

function sharding({ layout }: Member): Pick<RankMapping, "attention" | "totalKvHeads"> {
  return { attention: layout.attention, totalKvHeads: layout.totalKvHeads };
}

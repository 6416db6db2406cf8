import { asTransferError, KVTransferError } from "../errors.ts";
import { PlanError } from "../planner/index.ts";
import { KVPoll, tagToRef, toTag } from "../rooms/index.ts";
import type { RoomTag } from "../transports/transport.ts";
import type { Command } from "./command.ts";
import type { ReceiverRoom, RoomSource } from "./decode-rooms.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import type { InboundPair } from "./inbound-pair.ts";
import { PageOwners } from "./page-owners.ts";
import { PrefillPeers, type PrefillPeersEvents } from "./prefill-peers.ts";
import type { RegistryLink } from "./registry-link.ts";
import { giveUp, RoomBook } from "./room-book.ts";

/**
 * A decode manager's rooms: finds the prefill ranks of each through its registry, tells them the room's pages, and waits
 * for the last byte of each. Pages of a failed room stay taken until no write can land.
 */
export class DecodeRole implements PrefillPeersEvents {
  readonly rooms: RoomBook<ReceiverRoom>;
  readonly owners: PageOwners;
  readonly #dependencies: ProgressDependencies;
  readonly #peers: PrefillPeers;

  constructor(dependencies: ProgressDependencies) {
    this.#dependencies = dependencies;
    this.rooms = new RoomBook(dependencies.table, dependencies.now);
    this.owners = new PageOwners(dependencies.self.layout);
    this.#peers = new PrefillPeers(dependencies, this);
  }

  get pairCount(): number {
    return this.#peers.pairCount;
  }

  get linkCount(): number {
    return this.#peers.linkCount;
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
      case "abort":
      case "clear":
        return giveUp(command, this.rooms, (room, error) => this.#fail(room, error));
    }
  }

  step(now: number): boolean {
    return this.#peers.step(now);
  }

  /** Deadlines, leases, idle connections. */
  tick(now: number): void {
    const needed = new Set<RegistryLink | undefined>();
    for (const room of this.rooms) {
      if (!room.ended && now >= room.deadlineAt) this.#fail(room, this.#deadline(room));
      if (!room.ended) needed.add(room.link);
    }
    this.#peers.tick(now, (link) => needed.has(link));
  }

  get wakeAt(): number {
    return this.#peers.wakeAt;
  }

  forgive(gap: number): void {
    this.#peers.forgive(gap);
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
    this.#peers.close();
  }

  // What peers report.

  changed(link: RegistryLink): void {
    for (const room of this.rooms) if (room.link === link) this.#drive(room);
  }

  ready(pair: InboundPair): void {
    for (const room of this.rooms) if (isSource(room, pair)) this.#drive(room);
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
  }

  fenced(pair: InboundPair, tag: RoomTag): void {
    const room = this.rooms.get(tagToRef(tag));
    if (room) this.#unfence(room, pair);
  }

  lost(pair: InboundPair, error: KVTransferError): void {
    for (const room of this.rooms) {
      if (!isSource(room, pair)) continue;
      this.#fail(room, error);
      this.#unfence(room, pair);
    }
  }

  /** Rooms that the peer did not know of yet wait for whoever takes its place. */
  silent(pair: InboundPair, error: KVTransferError): void {
    for (const room of this.rooms) if (room.announced && isSource(room, pair)) this.#fail(room, error);
  }

  registrySilent(link: RegistryLink, error: KVTransferError): void {
    for (const room of this.rooms) if (room.link === link && !room.announced) this.#fail(room, error);
  }

  roomFailed({ from, header }: Parameters<PrefillPeersEvents["roomFailed"]>[0]): void {
    const room = this.rooms.byTag(header.tag);
    if (room?.room !== header.room) return;
    const { code, message, ...details } = header.error;
    const peer = details.peer ?? from;
    this.#fail(room, new KVTransferError(code === "ABORTED" ? "PEER_FAILED" : code, message, { ...details, peer }));
  }

  roomRefused(number: number, error: KVTransferError): void {
    for (const room of this.rooms) if (room.room === number) this.#fail(room, error);
  }

  // Rooms.

  #open({ ref, room: number, bootstrapAddr }: Extract<Command, { op: "open-receiver" }>): void {
    const { now, timeouts } = this.#dependencies;
    const room: ReceiverRoom = {
      ref,
      room: number,
      bootstrapAddr,
      link: undefined,
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

  /** Takes a room as far as what is known allows. What cannot be done for it is its own failure and nobody else's. */
  #drive(room: ReceiverRoom): void {
    if (room.ended || room.announced) return;
    try {
      this.#advance(room);
    } catch (error) {
      const details = { step: "connect", peer: `registry ${room.bootstrapAddr}`, cause: error };
      if (!(error instanceof PlanError)) return this.#fail(room, asTransferError(error, details));
      const mismatch = new KVTransferError("LAYOUT_MISMATCH", error.message, details);
      this.#fail(room, mismatch);
      const header = { room: room.room, tag: toTag(room.ref), error: mismatch.toRecord() };
      if (room.link) this.#peers.refuse(room.link, header);
    }
  }

  #advance(room: ReceiverRoom): void {
    room.link ??= this.#peers.linkTo(room.bootstrapAddr);
    const found = this.#peers.sourcesOf(room.room, room.link, room.destination?.prefillDpRank);
    room.sources = found?.sources;
    if (!found) return;
    room.completions = found.completions;
    room.waitingFor = "the pair to connect";
    if (found.sources.some(({ pair }) => !pair.ready)) return;
    const { table, now, timeouts } = this.#dependencies;
    if (table.advance(room.ref, KVPoll.WaitingForInput)) {
      room.waitingFor = "the receiver's pages";
      room.deadlineAt = now() + timeouts.inputMs;
    }
    if (room.destination) this.#announce(room, found.sources, room.destination);
  }

  #announce(
    room: ReceiverRoom,
    sources: readonly RoomSource[],
    destination: NonNullable<ReceiverRoom["destination"]>,
  ): void {
    const { table, now, timeouts, self } = this.#dependencies;
    const tag = toTag(room.ref);
    const { pages, auxIndex, decodePrefixTokens } = destination;
    const taken = this.owners.taken(pages, auxIndex);
    if (taken) {
      const message = `${taken} is lent to another room, which has not been released yet`;
      return this.#fail(room, new KVTransferError("REJECTED", message, { step: "room" }));
    }
    this.owners.assign(tag, pages, auxIndex);
    room.announced = true;
    room.waitingFor = "the last byte";
    room.deadlineAt = now() + timeouts.transferMs;
    table.setFigure(room.ref, "startedAt", now());
    table.setTransport(room.ref, self.transports.indexOf(sources[0]?.pair.transport ?? ""));
    for (const { pair } of sources) pair.expect(tag);
    for (const { pair, dummy, infos } of sources) {
      // Telling one may show that it is gone, and the room with it: then nobody else must be told where to write.
      if (room.ended) return;
      const header = { pair: pair.id, room: room.room, tag, auxIndex, decodePrefixTokens, dummy, infos };
      pair.announce(header, pages);
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
        this.#peers.dropIfFenced(pair);
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
    const refusal = room.sources ? undefined : room.link?.refusal;
    const why = refusal ? `; the registry says ${refusal}` : "";
    return new KVTransferError("DEADLINE", `the deadline passed waiting for ${room.waitingFor}${why}`, {
      step: room.waitingFor,
      peer: room.sources?.map(({ pair }) => pair.peer).join(", ") ?? `registry ${room.bootstrapAddr}`,
    });
  }
}

function isSource(room: ReceiverRoom, pair: InboundPair): boolean {
  return room.sources?.some((source) => source.pair === pair) ?? false;
}

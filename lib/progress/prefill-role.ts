import { asTransferError, KVTransferError } from "../errors.ts";
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
import type { RoomBook } from "./room-book.ts";
import { SenderRooms } from "./sender-rooms.ts";

type FromDecode<Type extends LinkMessage["type"]> = Extract<LinkMessage, { type: Type }>;

/**
 * A prefill manager's progress: answers decode ranks that want to connect, gathers who wants a room's pages, and has the
 * pages written as the engine gives them, the aux slot last.
 */
export class PrefillRole implements OutboundPairEvents {
  readonly link: RegistryLink;
  readonly #dependencies: ProgressDependencies;
  readonly #early: EarlyRooms;
  readonly #peers: DecodePeers;
  readonly #rooms: SenderRooms;

  constructor(dependencies: ProgressDependencies, registryAddress: string) {
    this.#dependencies = dependencies;
    this.link = new RegistryLink(registryAddress, dependencies, {
      heard: (_, message) => this.#hear(message),
      members: (_, gone) => {
        for (const { member, reason } of gone) this.#peers.lose(member.id, member.epoch, reason);
      },
      rejoined: () => undefined,
      silent: () => this.#loseRegistry(),
    });
    this.#peers = new DecodePeers(dependencies, this.link, this);
    const tellFailed = ({ pair, room }: Destination, error: KVTransferError): void =>
      this.#tellFailed(pair.member.id, room, error);
    this.#early = new EarlyRooms({
      now: dependencies.now,
      capacity: dependencies.table.capacity,
      waitMs: dependencies.timeouts.bootstrapMs,
      dropped: tellFailed,
    });
    this.#rooms = new SenderRooms(dependencies, this.#early, tellFailed);
  }

  get rooms(): RoomBook<SenderRoom> {
    return this.#rooms.book;
  }

  get pairCount(): number {
    return this.#peers.size;
  }

  get earlyRooms(): number {
    return this.#early.size;
  }

  execute(command: Command): void {
    this.#rooms.execute(command);
  }

  /** Hears the registry, then moves data until `until`. */
  step(now: number, until: number): boolean {
    const heard = this.link.step(now);
    return this.#peers.step(now, until) || heard;
  }

  tick(now: number): void {
    this.#rooms.tick(now);
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
    this.#rooms.failAll(error);
  }

  get unfenced(): number {
    return this.#rooms.unfenced;
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
    this.#rooms.written(batch);
  }

  failed(batch: WriteBatch, error: KVTransferError): void {
    this.#rooms.unwritten(batch, error);
  }

  lost(pair: OutboundPair, error: KVTransferError): void {
    this.#rooms.lost(pair, error);
    this.#early.dropAllOf(pair, error);
  }

  // Decode ranks.

  #hear(message: LinkMessage): void {
    switch (message.type) {
      case "connect":
        return this.#peers.connect(message.from, message.header);
      case "ready":
        return this.#peers.get(message.header.pair)?.confirm();
      case "room":
        return this.#announced(message);
      case "abort":
        return this.#aborted(message);
    }
  }

  /** A decode rank tells its pages for a room, before or after the engine has made the sender. */
  #announced({ from, header, pages }: FromDecode<"room">): void {
    const room = this.#rooms.get(header.room);
    const named = this.#peers.get(header.pair);
    const pair = named?.member.id === from ? named : undefined;
    // Decode tells rooms once its end is connected; its `ready` may be slower, by another way.
    pair?.confirm();
    try {
      if (!pair?.ready) {
        const message = "prefill does not know this pair; it may have been restarted";
        throw new KVTransferError("PEER_LOST", message, { step: "room" });
      }
      this.#early.announce({ pair, header, pages }, room?.destinations);
    } catch (error) {
      return this.#tellFailed(from, header, asTransferError(error, { step: "room" }));
    }
    if (room) this.#rooms.drive(room);
  }

  #aborted({ from, header }: FromDecode<"abort">): void {
    const { room: number, tag, error } = header;
    const details = { peer: from, step: "abort" };
    const room = this.#rooms.get(number);
    // Its pages were never told, and never will be: the room will not get beyond that.
    if (error.code === "LAYOUT_MISMATCH") {
      const mismatch = new KVTransferError("LAYOUT_MISMATCH", error.message, details);
      if (!room) this.#early.abandon(number, mismatch);
      else if (this.#dependencies.table.state(room.ref) === KVPoll.Bootstrapping) this.#rooms.fail(room, mismatch);
      return;
    }
    const why = new KVTransferError("ABORTED", `decode gave up: ${error.message}`, details);
    const wants = (each: Destination): boolean => each.room.tag === tag && each.pair.member.id === from;
    if (room && [...room.destinations.values()].some(wants)) return this.#rooms.fail(room, why);
    this.#early.drop(number, why, wants);
  }

  #tellFailed(decode: string, { room, tag }: RelayedHeaders["room"], error: KVTransferError): void {
    this.link.send(encodeRelayed("failed", decode, { room, tag, error: error.toRecord() }));
  }

  /** Rooms that no decode has asked for yet cannot be asked for any more; those that write go on. */
  #loseRegistry(): void {
    const message = `the registry has not answered for ${this.#dependencies.timeouts.leaseMs} ms`;
    const details = { peer: `registry ${this.link.address}`, step: "bootstrap" };
    this.#rooms.failAll(new KVTransferError("REGISTRY_LOST", message, details), KVPoll.Bootstrapping);
  }
}

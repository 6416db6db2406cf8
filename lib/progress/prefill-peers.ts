import { KVTransferError } from "../errors.ts";
import { decodeRanksOf, pairLayouts, prefillRanksOf, prefillReplica, type RankMapping } from "../planner/index.ts";
import { encodeRelayed, type Member, type RelayedHeaders } from "../protocol/index.ts";
import type { RoomTag } from "../transports/transport.ts";
import type { RoomSource } from "./decode-rooms.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import { InboundPair, type InboundPairEvents } from "./inbound-pair.ts";
import { type LinkMessage, RegistryLink } from "./registry-link.ts";

type FromPrefill<Type extends LinkMessage["type"]> = Extract<LinkMessage, { type: Type }>;

export interface PrefillPeersEvents extends InboundPairEvents {
  /** The members of this registry, or the pairs to them, are not what they were. */
  changed(link: RegistryLink): void;
  /** A peer is taken for dead; what it was told of may still be written to. */
  silent(pair: InboundPair, error: KVTransferError): void;
  registrySilent(link: RegistryLink, error: KVTransferError): void;
  /** A prefill gave a room up. */
  roomFailed(message: FromPrefill<"failed">): void;
  /** The registry could not hand a message about a room on: whom it was for is not there. */
  roomRefused(room: number, error: KVTransferError): void;
}

/**
 * A decode manager's connections: one link for each registry that a room has named, one pair for each prefill rank behind
 * it. A pair that was given up stays until no write of its can land.
 */
export class PrefillPeers implements InboundPairEvents {
  readonly #dependencies: ProgressDependencies;
  readonly #events: PrefillPeersEvents;
  readonly #links = new Map<string, { readonly link: RegistryLink; idleSince: number }>();
  /** The pairs that new rooms use. Two registries may each know a member of the same name. */
  readonly #pairs = new Map<string, InboundPair>();
  /** Pairs that no new room uses, but by which writes of failed rooms could still land. */
  readonly #retired = new Set<InboundPair>();
  #pairsMade = 0;

  constructor(dependencies: ProgressDependencies, events: PrefillPeersEvents) {
    this.#dependencies = dependencies;
    this.#events = events;
  }

  /** Retired ones included. */
  get pairCount(): number {
    return this.#pairs.size + this.#retired.size;
  }

  get linkCount(): number {
    return this.#links.size;
  }

  get wakeAt(): number {
    let wake = Infinity;
    for (const { link } of this.#links.values()) wake = Math.min(wake, link.wakeAt);
    return wake;
  }

  /** True if anything was heard. */
  step(now: number): boolean {
    let heard = false;
    for (const { link } of this.#links.values()) heard = link.step(now) || heard;
    return heard;
  }

  /** Leases, connections that take too long, links that no room needs. */
  tick(now: number, isNeeded: (link: RegistryLink) => boolean): void {
    const { leaseMs, idleMs } = this.#dependencies.timeouts;
    for (const pair of this.#pairs.values()) {
      if (!pair.ready && now >= pair.deadlineAt) {
        pair.close();
        const details = { peer: pair.peer, step: "connect" };
        this.lost(pair, new KVTransferError("DEADLINE", "the pair did not connect in time", details));
      } else if (pair.rooms > 0 && now - pair.lastHeardAt > leaseMs) {
        this.#lose(pair, `not heard of for ${Math.round(now - pair.lastHeardAt)} ms (lease ${leaseMs} ms)`);
      }
    }
    for (const [address, entry] of this.#links) {
      if (isNeeded(entry.link)) entry.idleSince = now;
      else if (now - entry.idleSince > idleMs) this.#closeLink(address, entry.link);
    }
  }

  forgive(gap: number): void {
    for (const { link } of this.#links.values()) link.forgive(gap);
    for (const pair of this.#pairs.values()) pair.lastHeardAt += gap;
  }

  close(): void {
    for (const pair of [...this.#pairs.values(), ...this.#retired]) pair.close();
    for (const { link } of this.#links.values()) link.close();
  }

  /** The link to the registry at `address`, made if there is none. Throws what dialling throws. */
  linkTo(address: string): RegistryLink {
    const known = this.#links.get(address);
    if (known) return known.link;
    const link: RegistryLink = new RegistryLink(address, this.#dependencies, {
      heard: (_, message) => this.#hear(message),
      members: (of, gone) => {
        for (const { member, reason } of gone) {
          const pair = this.#pairs.get(keyOf(of, member.id));
          if (pair?.member.epoch === member.epoch) this.#lose(pair, reason);
        }
        this.#events.changed(of);
      },
      rejoined: (of) => {
        for (const pair of this.#pairs.values()) if (pair.link === of && !pair.ready) this.#retire(pair);
        this.#events.changed(of);
      },
      silent: (of) => {
        const message = `the registry has not answered for ${this.#dependencies.timeouts.leaseMs} ms`;
        const details = { peer: `registry ${of.address}`, step: "bootstrap" };
        this.#events.registrySilent(of, new KVTransferError("REGISTRY_LOST", message, details));
      },
    });
    this.#links.set(address, { link, idleSince: this.#dependencies.now() });
    return link;
  }

  /**
   * The pairs to the prefill ranks that a room needs, and how many of them must report their last byte; undefined while one
   * of the ranks is not known. @throws {PlanError} where the layouts do not go together.
   */
  sourcesOf(
    room: number,
    link: RegistryLink,
    prefillDpRank: number | undefined,
  ): { readonly sources: RoomSource[]; readonly completions: number } | undefined {
    const { self } = this.#dependencies;
    const members = [...link.members.values()];
    const any = members[0];
    if (!any) return undefined;
    const dpRank = prefillReplica(room, { ...sizeOf(any), dpSize: any.dpSize }, prefillDpRank);
    const mapping: RankMapping = { prefill: sizeOf(any), decode: sizeOf(self), ...sharding(any) };
    const { links, completions } = prefillRanksOf(mapping, self.layout);
    const sources: RoomSource[] = [];
    for (const { tpRank, ppRank, dummy } of links) {
      const member = members.find(
        ({ dpRank: dp, layout }) => dp === dpRank && layout.tpRank === tpRank && layout.ppRank === ppRank,
      );
      if (!member) return undefined;
      pairLayouts(member.layout, self.layout);
      const { infos } = decodeRanksOf(mapping, { tpRank, ppRank });
      sources.push({ pair: this.#pairTo(member, link), dummy, infos });
    }
    return { sources, completions };
  }

  /** A room by this pair has ended: a retired pair goes with its last one. */
  dropIfFenced(pair: InboundPair): void {
    if (!this.#retired.has(pair) || pair.unfenced > 0 || pair.rooms > 0) return;
    this.#retired.delete(pair);
    pair.close();
  }

  /** Tells the ranks behind a registry that a room cannot be taken from them: one of them may have a sender that waits. */
  refuse(link: RegistryLink, header: RelayedHeaders["abort"]): void {
    for (const { id } of link.members.values()) link.send(encodeRelayed("abort", id, header));
  }

  // What pairs report.

  ready(pair: InboundPair): void {
    this.#events.ready(pair);
  }

  arrived(pair: InboundPair, tag: RoomTag, totalBytes: number): void {
    this.#events.arrived(pair, tag, totalBytes);
  }

  fenced(pair: InboundPair, tag: RoomTag): void {
    this.#events.fenced(pair, tag);
    this.dropIfFenced(pair);
  }

  lost(pair: InboundPair, error: KVTransferError): void {
    this.#retired.delete(pair);
    this.#forget(pair);
    const named = new KVTransferError(error.code === "NATIVE" ? "PEER_LOST" : error.code, error.message, {
      peer: pair.peer,
      step: error.step ?? "transfer",
      ...(error.status === undefined ? {} : { status: error.status }),
    });
    this.#events.lost(pair, named);
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
      case "failed":
        return this.#events.roomFailed(message);
      case "error":
        return this.#refused(message.header);
    }
  }

  #refused(header: FromPrefill<"error">["header"]): void {
    if (header.code !== "UNKNOWN_MEMBER") return;
    const details = { peer: header.to ?? "", step: header.about ?? "relay" };
    if (header.room !== undefined) {
      this.#events.roomRefused(header.room, new KVTransferError("PEER_LOST", header.message, details));
    }
    const pair = header.pair === undefined ? undefined : this.#pairOf(header.pair);
    if (!pair || pair.ready) return;
    // What we know of the member is old: its rooms wait for it to join again.
    pair.link.members.delete(pair.member.id);
    this.#retire(pair);
  }

  #pairTo(member: Member, link: RegistryLink): InboundPair {
    const key = keyOf(link, member.id);
    const known = this.#pairs.get(key);
    if (known && !known.closed && known.member.epoch === member.epoch) return known;
    if (known) this.#retire(known);
    this.#makeWay(link);
    const id = `${this.#dependencies.self.epoch}.${++this.#pairsMade}`;
    const pair = new InboundPair(id, member, link, this.#dependencies, this);
    this.#pairs.set(key, pair);
    return pair;
  }

  /** Where no more pairs can be made, one to another instance that no room uses gives way; the one silent for longest. */
  #makeWay(link: RegistryLink): void {
    if (!this.#dependencies.transports.some(({ isFull }) => isFull)) return;
    let idle: InboundPair | undefined;
    for (const pair of this.#pairs.values()) {
      if (pair.rooms > 0 || pair.link === link) continue;
      if (!idle || pair.lastHeardAt < idle.lastHeardAt) idle = pair;
    }
    if (idle) this.#retire(idle);
  }

  #pairOf(id: string): InboundPair | undefined {
    for (const pair of this.#pairs.values()) if (pair.id === id) return pair;
    return undefined;
  }

  #lose(pair: InboundPair, reason: string): void {
    const details = { peer: pair.peer, step: "lease" };
    this.#events.silent(pair, new KVTransferError("PEER_LOST", `prefill is gone: ${reason}`, details));
    this.#retire(pair);
  }

  #retire(pair: InboundPair): void {
    this.#forget(pair);
    this.#retired.add(pair);
    this.dropIfFenced(pair);
  }

  #forget(pair: InboundPair): void {
    const key = keyOf(pair.link, pair.member.id);
    if (this.#pairs.get(key) === pair) this.#pairs.delete(key);
  }

  #closeLink(address: string, link: RegistryLink): void {
    for (const pair of this.#pairs.values()) if (pair.link === link) this.#retire(pair);
    for (const pair of this.#retired) if (pair.link === link) return;
    this.#links.delete(address);
    link.close();
  }
}

function keyOf(link: RegistryLink, memberId: string): string {
  return `${link.address} ${memberId}`;
}

function sizeOf({ layout }: Member): { tpSize: number; ppSize: number } {
  return { tpSize: layout.tpSize, ppSize: layout.ppSize };
}

function sharding({ layout }: Member): Pick<RankMapping, "attention" | "totalKvHeads"> {
  return { attention: layout.attention, totalKvHeads: layout.totalKvHeads };
}

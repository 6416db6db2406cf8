import { KVTransferError } from "../errors.ts";
import { pairLayouts } from "../planner/index.ts";
import type { RelayedHeaders } from "../protocol/index.ts";
import type { WriteBatch } from "../transports/transport.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import { OutboundPair, type OutboundPairEvents } from "./outbound-pair.ts";
import type { LinkMessage, RegistryLink } from "./registry-link.ts";

const KEEP_ALIVES_PER_LEASE = 5;

/** A prefill manager's pairs: one for each decode rank that asked to connect. */
export class DecodePeers implements OutboundPairEvents {
  readonly #dependencies: ProgressDependencies;
  readonly #link: RegistryLink;
  readonly #events: OutboundPairEvents;
  readonly #pairs = new Map<string, OutboundPair>();
  #nextKeepAliveAt = 0;
  #turn = 0;

  constructor(dependencies: ProgressDependencies, link: RegistryLink, events: OutboundPairEvents) {
    this.#dependencies = dependencies;
    this.#link = link;
    this.#events = events;
  }

  get size(): number {
    return this.#pairs.size;
  }

  get(id: string): OutboundPair | undefined {
    return this.#pairs.get(id);
  }

  connect(from: string, header: RelayedHeaders["connect"]): void {
    const member = this.#link.members.get(from);
    if (!member || this.#pairs.has(header.pair)) return;
    const pair = new OutboundPair(header, member, this.#link, this.#dependencies, this);
    this.#pairs.set(pair.id, pair);
    try {
      pairLayouts(this.#dependencies.self.layout, member.layout);
    } catch (error) {
      const details = { peer: from, step: "connect" };
      return pair.fail(new KVTransferError("LAYOUT_MISMATCH", (error as Error).message, details));
    }
    pair.dial();
  }

  /** Moves data until `until`: each pair in its turn, a different one first each time. True: there is more to do. */
  step(now: number, until: number): boolean {
    let busy = false;
    const pairs = [...this.#pairs.values()];
    this.#turn++;
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairs[(i + this.#turn) % pairs.length]!;
      const share = now + ((until - now) * (i + 1)) / pairs.length;
      busy = pair.step(share) || busy;
    }
    return busy;
  }

  tick(now: number): void {
    for (const pair of this.#pairs.values()) {
      if (pair.ready || now < pair.deadlineAt) continue;
      const details = { peer: pair.peer, step: "connect" };
      pair.fail(new KVTransferError("DEADLINE", "the pair did not connect in time", details));
    }
    if (now < this.#nextKeepAliveAt) return;
    this.#nextKeepAliveAt = now + this.#dependencies.timeouts.leaseMs / KEEP_ALIVES_PER_LEASE;
    for (const pair of this.#pairs.values()) if (pair.rooms > 0) pair.keepAlive();
  }

  /** The registry says that a decode rank is dead or was started anew. */
  lose(memberId: string, epoch: string, reason: string): void {
    for (const pair of this.#pairs.values()) {
      if (pair.member.id !== memberId || pair.member.epoch !== epoch) continue;
      pair.fail(new KVTransferError("PEER_LOST", `decode is gone: ${reason}`, { peer: pair.peer, step: "lease" }));
    }
  }

  close(): void {
    for (const pair of this.#pairs.values()) pair.close();
  }

  // What pairs report.

  heard(pair: OutboundPair, message: LinkMessage): void {
    this.#events.heard(pair, message);
  }

  written(batch: WriteBatch): void {
    this.#events.written(batch);
  }

  failed(batch: WriteBatch, error: KVTransferError): void {
    this.#events.failed(batch, error);
  }

  lost(pair: OutboundPair, error: KVTransferError): void {
    this.#pairs.delete(pair.id);
    const named =
      error.code === "NATIVE" ? new KVTransferError("PEER_LOST", error.message, { ...error.toRecord() }) : error;
    this.#events.lost(pair, named);
  }
}

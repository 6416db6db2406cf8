import { asTransferError, KVTransferError } from "../errors.ts";
import { decodeRanksOf, type KVLayout } from "../planner/index.ts";
import { encodeRelayed, type Frames, type Member, parseDirect, type RelayedHeaders } from "../protocol/index.ts";
import type { OutboundEnd, WriteBatch } from "../transports/transport.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import type { LinkMessage, RegistryLink } from "./registry-link.ts";

export interface OutboundPairEvents {
  /** A message that came by the pair's own way. */
  heard(pair: OutboundPair, message: LinkMessage): void;
  written(batch: WriteBatch): void;
  failed(batch: WriteBatch, error: KVTransferError): void;
  lost(pair: OutboundPair, error: KVTransferError): void;
}

/** Prefill's side of a pair of ranks: dials decode's offers, best first, until one connects, and says which it took and why. */
export class OutboundPair {
  readonly id: string;
  readonly member: Member;
  readonly deadlineAt: number;
  /** Rooms that were announced for this pair and have not ended. */
  rooms = 0;
  transport: string | undefined;
  /** Whether this rank sends that decode rank the aux slot (another pipeline stage may do it); known once connected. */
  sendsAux = false;
  readonly notes: string[] = [];
  #state: "dialling" | "accepted" | "ready" | "closed" = "dialling";
  #end: OutboundEnd | undefined;
  /** Guards against events of an end that was given up. */
  #attempt = 0;
  readonly #offers: RelayedHeaders["connect"]["offers"];
  readonly #link: RegistryLink;
  readonly #dependencies: ProgressDependencies;
  readonly #events: OutboundPairEvents;

  constructor(
    header: RelayedHeaders["connect"],
    member: Member,
    link: RegistryLink,
    dependencies: ProgressDependencies,
    events: OutboundPairEvents,
  ) {
    this.id = header.pair;
    this.member = member;
    this.deadlineAt = dependencies.now() + dependencies.timeouts.connectMs;
    this.#offers = [...header.offers];
    this.#link = link;
    this.#dependencies = dependencies;
    this.#events = events;
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  get peer(): string {
    return this.transport ? `${this.member.id} (${this.transport})` : this.member.id;
  }

  /** The end that batches are written to, once ready. */
  get end(): OutboundEnd | undefined {
    return this.#state === "ready" ? this.#end : undefined;
  }

  /** Tries the next offer, until one connects or none is left. */
  dial(): void {
    while (this.#state === "dialling") {
      const next = this.#offers.shift();
      if (!next) return this.fail(this.#exhausted());
      const transport = this.#dependencies.transports.find(({ name }) => name === next.transport);
      if (!transport) {
        this.notes.push(`${next.transport}: not enabled here`);
        continue;
      }
      const attempt = ++this.#attempt;
      const current = (): boolean => attempt === this.#attempt && this.#state !== "closed";
      this.transport = next.transport;
      try {
        this.#end = transport.openOutbound(this.member.id, next.offer, {
          connected: () => current() && this.#accept(),
          written: (batch) => this.#events.written(batch),
          failed: (batch, error) => this.#events.failed(batch, error),
          message: (frames) => current() && this.#hear(frames),
          lost: (error) => current() && this.#onLost(error),
        });
        return;
      } catch (error) {
        this.#giveUpOffer(asTransferError(error, { peer: this.peer, step: "connect" }));
      }
    }
  }

  /** Decode says that its end can be written to. */
  confirm(): void {
    if (this.#state !== "accepted") return;
    this.#state = "ready";
    this.#end!.confirm();
  }

  step(until: number): boolean {
    return this.#end?.step(until) ?? false;
  }

  keepAlive(): void {
    if (this.#state === "ready") this.#end!.keepAlive();
  }

  /** The pair cannot be used, or not any more. Decode is told if it still waits for an answer. */
  fail(error: KVTransferError): void {
    if (this.#state === "closed") return;
    const waiting = this.#state === "dialling";
    this.close();
    if (waiting) this.#link.send(encodeRelayed("reject", this.member.id, { pair: this.id, error: error.toRecord() }));
    this.#events.lost(this, error);
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#end?.close();
  }

  #accept(): void {
    if (this.#state !== "dialling") return;
    this.#state = "accepted";
    this.sendsAux = sendsAux(this.#dependencies.self.layout, this.member.layout);
    const transport = this.transport!;
    const { endpoint, how } = this.#end!;
    const chosen = `${transport}: the best that both sides have and that connects${how ? `, ${how}` : ""}`;
    const header = { pair: this.id, transport, endpoint, notes: [...this.notes, chosen] };
    this.#link.send(encodeRelayed("accept", this.member.id, header));
  }

  #hear(frames: Frames): void {
    const message = parseDirect(frames, { pair: this.id, from: this.member.id });
    if (message) this.#events.heard(this, message);
  }

  #onLost(error: KVTransferError): void {
    if (this.#state !== "dialling") return this.fail(error);
    this.#end?.close();
    this.#giveUpOffer(error);
    this.dial();
  }

  #giveUpOffer(error: KVTransferError): void {
    this.notes.push(`${this.transport}: ${error.message.slice(0, 500)}`);
    this.#end = undefined;
    this.transport = undefined;
  }

  #exhausted(): KVTransferError {
    const tried = this.notes.join("; ") || "decode offered none";
    return new KVTransferError("NO_TRANSPORT", `no transport connects: ${tried}`, {
      peer: this.member.id,
      step: "connect",
    });
  }
}

function sendsAux(prefill: KVLayout, decode: KVLayout): boolean {
  const { attention, totalKvHeads } = prefill;
  const { links } = decodeRanksOf({ prefill, decode, attention, totalKvHeads }, prefill);
  return links.some((link) => link.aux);
}

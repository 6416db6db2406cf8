import { asTransferError, KVTransferError } from "../errors.ts";
import {
  encodeDirect,
  encodeDirectRoom,
  encodeRelayed,
  type Frames,
  type Member,
  type RelayedHeaders,
} from "../protocol/index.ts";
import type { InboundEnd, RoomTag } from "../transports/transport.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import type { RegistryLink } from "./registry-link.ts";

export interface InboundPairEvents {
  ready(pair: InboundPair): void;
  arrived(pair: InboundPair, tag: RoomTag, totalBytes: number): void;
  fenced(pair: InboundPair, tag: RoomTag): void;
  /** Nothing lands by this pair any more. */
  lost(pair: InboundPair, error: KVTransferError): void;
}

/**
 * Decode's side of a pair of ranks: offers an end of every transport that both have, keeps the one that prefill took,
 * and says `ready` when writes may land.
 */
export class InboundPair {
  readonly id: string;
  readonly member: Member;
  readonly link: RegistryLink;
  readonly deadlineAt: number;
  lastHeardAt: number;
  /** Rooms whose pages this pair was told of and that have not ended. */
  rooms = 0;
  transport: string | undefined;
  notes: readonly string[] = [];
  #state: "offered" | "accepted" | "ready" | "closed" = "offered";
  readonly #ends = new Map<string, InboundEnd>();
  readonly #connected = new Set<string>();
  readonly #events: InboundPairEvents;
  readonly #now: () => number;
  readonly #self: string;

  constructor(
    id: string,
    member: Member,
    link: RegistryLink,
    dependencies: ProgressDependencies,
    events: InboundPairEvents,
  ) {
    this.id = id;
    this.member = member;
    this.link = link;
    this.#events = events;
    this.#now = dependencies.now;
    this.#self = dependencies.self.id;
    this.lastHeardAt = dependencies.now();
    this.deadlineAt = this.lastHeardAt + dependencies.timeouts.connectMs;

    for (const transport of dependencies.transports) {
      if (!member.transports.includes(transport.name)) continue;
      const { name } = transport;
      this.#ends.set(
        name,
        transport.openInbound(
          member.id,
          {
            connected: () => this.#onConnected(name),
            heard: () => (this.lastHeardAt = this.#now()),
            arrived: (tag, totalBytes) => this.#events.arrived(this, tag, totalBytes),
            fenced: (tag) => this.#events.fenced(this, tag),
            lost: (error) => this.#onLost(name, error),
          },
          link.localHost,
        ),
      );
    }
    const offers = [...this.#ends].map(([name, end]) => ({ transport: name, offer: end.offer }));
    link.send(encodeRelayed("connect", member.id, { pair: id, offers }));
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  get closed(): boolean {
    return this.#state === "closed";
  }

  /** For errors: who is at the other end, and how it is reached. */
  get peer(): string {
    return this.transport ? `${this.member.id} (${this.transport})` : this.member.id;
  }

  get unfenced(): number {
    return this.#end?.unfenced ?? 0;
  }

  /** Prefill's answer to the offers. */
  accept(header: RelayedHeaders["accept"]): void {
    if (this.#state !== "offered") return;
    const end = this.#ends.get(header.transport);
    if (!end) {
      const offered = [...this.#ends.keys()].join(", ") || "nothing";
      return this.#fail(
        new KVTransferError("PROTOCOL", `prefill took ${header.transport}, but was offered ${offered}`),
      );
    }
    for (const [name, other] of this.#ends) if (other !== end) this.#drop(name, other);
    this.transport = header.transport;
    this.notes = header.notes;
    this.#state = "accepted";
    try {
      end.accept(header.endpoint);
    } catch (error) {
      return this.#fail(asTransferError(error, { peer: this.peer, step: "accept" }));
    }
    this.#sayReady();
  }

  /** Tells prefill where a room's pages are, by the pair's own way, where it has one, else by the registry. */
  announce(header: RelayedHeaders["room"], pages: Int32Array<ArrayBuffer>): void {
    if (this.#carry(() => encodeDirectRoom(header, pages))) return;
    this.link.send(encodeRelayed("room", this.member.id, header, pages));
  }

  /** The same for what else is said. */
  tell<K extends "ready" | "abort">(type: K, header: RelayedHeaders[K]): void {
    if (this.#carry(() => encodeDirect(type, this.#self, header))) return;
    this.link.send(encodeRelayed(type, this.member.id, header));
  }

  expect(tag: RoomTag): void {
    this.rooms++;
    this.lastHeardAt = Math.max(this.lastHeardAt, this.#now());
    this.#end?.expect(tag);
  }

  forget(tag: RoomTag): void {
    this.rooms--;
    this.#end?.forget(tag);
  }

  /** True: nothing can land for the room from now on. */
  revoke(tag: RoomTag): boolean {
    this.rooms--;
    return this.#end?.revoke(tag) ?? true;
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    for (const [name, end] of this.#ends) this.#drop(name, end);
  }

  get #end(): InboundEnd | undefined {
    return this.transport === undefined ? undefined : this.#ends.get(this.transport);
  }

  #carry(frames: () => Frames): boolean {
    const end = this.#state === "ready" ? this.#end : undefined;
    return end?.carry?.(frames()) ?? false;
  }

  #drop(name: string, end: InboundEnd): void {
    this.#ends.delete(name);
    end.close();
  }

  #onConnected(name: string): void {
    this.#connected.add(name);
    this.lastHeardAt = this.#now();
    if (name === this.transport) this.#sayReady();
  }

  #sayReady(): void {
    if (this.#state !== "accepted" || !this.#connected.has(this.transport!)) return;
    this.#state = "ready";
    this.tell("ready", { pair: this.id });
    this.#events.ready(this);
  }

  #onLost(name: string, error: KVTransferError): void {
    if (this.transport === undefined) {
      // One offer less; prefill may still take another, or say that it can use none.
      const end = this.#ends.get(name);
      if (end) this.#drop(name, end);
      return;
    }
    if (name === this.transport) this.#fail(error);
  }

  #fail(error: KVTransferError): void {
    if (this.#state === "closed") return;
    this.close();
    this.#events.lost(this, error);
  }
}

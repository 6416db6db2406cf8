import { encodeRequest, type Frames, type Heard, type Member, parseHeard } from "../protocol/index.ts";
import type { ControlSocket, ProgressDependencies } from "./dependencies.ts";

const HEARTBEATS_PER_LEASE = 5;
const MAX_MESSAGES_PER_STEP = 256;
const MAX_OUTBOX = 16_384;

/** What a link does not deal with itself. */
export type LinkMessage = Exclude<Heard, { type: "registered" | "joined" | "lost" | "heartbeat" }>;

type MemberChange = { readonly member: Member; readonly reason: string };

export interface RegistryLinkEvents {
  heard(link: RegistryLink, message: LinkMessage): void;
  /** The members known have changed; `gone` are those that the registry says are dead or were started anew. */
  members(link: RegistryLink, gone: readonly MemberChange[]): void;
  /** The registry was restarted and we have joined again: messages that were under way are lost. */
  rejoined(link: RegistryLink): void;
  /** Nothing came for a lease. */
  silent(link: RegistryLink): void;
}

/** A manager's connection to one registry: joins, stays joined, rejoins after either end was restarted. */
export class RegistryLink {
  readonly address: string;
  readonly members = new Map<string, Member>();
  readonly #dependencies: ProgressDependencies;
  readonly #events: RegistryLinkEvents;
  readonly #socket: ControlSocket;
  readonly #outbox: Frames[] = [];
  #registryEpoch: string | undefined;
  #leaseMs: number;
  #joined = false;
  #lastHeardAt: number;
  #nextCallAt: number;
  #silenceTold = false;
  /** Why the registry does not let us in, if it said so. */
  refusal: string | undefined;

  constructor(address: string, dependencies: ProgressDependencies, events: RegistryLinkEvents) {
    this.address = address;
    this.#dependencies = dependencies;
    this.#events = events;
    this.#socket = dependencies.control.dial(address);
    this.#leaseMs = dependencies.timeouts.leaseMs;
    this.#lastHeardAt = dependencies.now();
    this.#nextCallAt = this.#lastHeardAt;
    this.step(this.#lastHeardAt);
  }

  /** See {@link ControlSocket.localHost}. */
  get localHost(): string | undefined {
    return this.#socket.localHost;
  }

  get joined(): boolean {
    return this.#joined;
  }

  /** When {@link step} has something to do even if no message comes. */
  get wakeAt(): number {
    return this.#outbox.length > 0 ? this.#dependencies.now() + 1 : this.#nextCallAt;
  }

  send(frames: Frames): void {
    if (this.#outbox.length === 0 && this.#socket.send(frames)) return;
    // A registry that takes nothing for this long is dead: its rooms end by their deadlines, not by our memory.
    if (this.#outbox.length < MAX_OUTBOX) this.#outbox.push(frames);
  }

  /** True if there was anything to hear. */
  step(now: number): boolean {
    while (this.#outbox.length > 0 && this.#socket.send(this.#outbox[0]!)) this.#outbox.shift();
    let heard = 0;
    for (; heard < MAX_MESSAGES_PER_STEP; heard++) {
      const frames = this.#socket.receive();
      if (!frames) break;
      this.#lastHeardAt = now;
      this.#silenceTold = false;
      this.#hear(frames, now);
    }
    if (now >= this.#nextCallAt) this.#call(now);
    if (!this.#silenceTold && now - this.#lastHeardAt > this.#leaseMs) {
      this.#silenceTold = true;
      this.#joined = false;
      this.#events.silent(this);
    }
    return heard > 0;
  }

  /** This thread did not run for `gap` ms: silence then proves nothing. */
  forgive(gap: number): void {
    this.#lastHeardAt += gap;
  }

  close(): void {
    if (this.#joined) this.#socket.send(encodeRequest("bye", {}));
    this.#socket.close();
  }

  #call(now: number): void {
    this.#nextCallAt = now + this.#leaseMs / HEARTBEATS_PER_LEASE;
    if (this.#joined) return this.send(encodeRequest("heartbeat", {}));
    const { self, token } = this.#dependencies;
    this.send(encodeRequest("register", { member: self, ...(token === undefined ? {} : { token }) }));
  }

  #hear(frames: Frames, now: number): void {
    const message = parseHeard(frames);
    if (!message) return;
    switch (message.type) {
      case "registered": {
        this.#joined = true;
        this.refusal = undefined;
        this.#leaseMs = Math.min(this.#dependencies.timeouts.leaseMs, message.header.leaseMs);
        this.#nextCallAt = now + this.#leaseMs / HEARTBEATS_PER_LEASE;
        // A registry that was restarted has not heard of everybody yet; members that are gone will miss their lease.
        const { registryEpoch, members } = message.header;
        const restarted = this.#registryEpoch !== undefined && this.#registryEpoch !== registryEpoch;
        this.#registryEpoch = registryEpoch;
        this.#learn(members);
        if (restarted) this.#events.rejoined(this);
        return;
      }
      case "joined":
        return this.#learn([message.header.member]);
      case "lost": {
        const member = this.members.get(message.header.id);
        if (member?.epoch !== message.header.epoch) return;
        this.members.delete(member.id);
        return this.#events.members(this, [{ member, reason: message.header.reason }]);
      }
      case "heartbeat":
        if (message.header.registryEpoch !== this.#registryEpoch) this.#rejoin(now);
        return;
      case "error":
        if (message.header.code === "UNKNOWN_SENDER") this.#rejoin(now);
        if (!this.#joined) this.refusal = `${message.header.code}: ${message.header.message}`;
        return this.#events.heard(this, message);
      default:
        return this.#events.heard(this, message);
    }
  }

  #rejoin(now: number): void {
    if (!this.#joined) return;
    this.#joined = false;
    this.#call(now);
  }

  #learn(members: readonly Member[]): void {
    const gone: MemberChange[] = [];
    for (const member of members) {
      const old = this.members.get(member.id);
      if (old && old.epoch !== member.epoch) gone.push({ member: old, reason: "it was started anew" });
      this.members.set(member.id, member);
    }
    this.#events.members(this, gone);
  }
}

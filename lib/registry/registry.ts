import {
  type AnswerHeaders,
  decodeRequest,
  encodeAnswer,
  type Frame,
  FrameError,
  type Frames,
  type Member,
  type RegistryErrorCode,
} from "../protocol/index.ts";

export interface RegistryOptions {
  /** Random, so that clients see a restart. */
  readonly epoch: string;
  /** A member not heard of for this long is dead. */
  readonly leaseMs: number;
  readonly maxMembers: number;
  /** Members must know it, if set. */
  readonly token?: string | undefined;
}

interface Seat {
  readonly member: Member;
  /** The ZeroMQ routing id of the member's socket. */
  identity: Frame;
  lastHeardAt: number;
}

/**
 * The registry's state machine, without sockets, threads or clock of its own. It knows who is there, tells each side of
 * the other, and hands messages on between pairs. It keeps nothing that members cannot tell again, and nothing of
 * rooms: its memory is bounded by `maxMembers`.
 */
export class Registry {
  readonly #options: RegistryOptions;
  readonly #send: (identity: Frame, frames: Frame[]) => void;
  readonly #seats = new Map<string, Seat>();
  readonly #byIdentity = new Map<string, Seat>();

  constructor(options: RegistryOptions, send: (identity: Frame, frames: Frame[]) => void) {
    this.#options = options;
    this.#send = send;
  }

  get memberCount(): number {
    return this.#seats.size;
  }

  /** One message from a client. A bad one is answered with an error and changes nothing. */
  receive(identity: Frame, message: Frames, now: number): void {
    const seat = this.#byIdentity.get(identityKey(identity));
    if (seat) seat.lastHeardAt = now;
    try {
      const request = decodeRequest(message);
      switch (request.type) {
        case "register":
          return this.#register(identity, request.header.member, request.header.token, now);
        case "heartbeat":
          if (!seat) return this.#refuse(identity, "UNKNOWN_SENDER", "register first", { about: "heartbeat" });
          return this.#send(identity, encodeAnswer("heartbeat", { registryEpoch: this.#options.epoch }));
        case "bye":
          if (seat) this.#remove(seat, "it said goodbye");
          return;
        case "relay": {
          if (!seat)
            return this.#refuse(identity, "UNKNOWN_SENDER", "register first", {
              about: request.inner,
              ...request.subject,
            });
          const target = this.#seats.get(request.to);
          if (!target || target.member.role === seat.member.role) {
            const about = { about: request.inner, to: request.to, ...request.subject };
            return this.#refuse(identity, "UNKNOWN_MEMBER", `no ${otherRole(seat.member)} member ${request.to}`, about);
          }
          return this.#send(target.identity, request.forward(seat.member.id));
        }
      }
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#refuse(identity, error.code, error.message);
    }
  }

  /** Drops members whose lease has run out. */
  tick(now: number): void {
    for (const seat of this.#seats.values()) {
      const silent = now - seat.lastHeardAt;
      if (silent > this.#options.leaseMs) this.#remove(seat, `not heard of for ${Math.round(silent)} ms`);
    }
  }

  /** The registry was not running for `gap` ms (stopped, or the machine slept): silence then proves nothing. */
  forgive(gap: number): void {
    for (const seat of this.#seats.values()) seat.lastHeardAt += gap;
  }

  #register(identity: Frame, member: Member, token: string | undefined, now: number): void {
    if (this.#options.token !== undefined && token !== this.#options.token) {
      return this.#refuse(identity, "BAD_TOKEN", "the registry wants another token", { about: "register" });
    }
    const old = this.#seats.get(member.id);
    if (!old && this.#seats.size >= this.#options.maxMembers) {
      return this.#refuse(identity, "TOO_MANY_MEMBERS", `all ${this.#options.maxMembers} seats are taken`, {
        about: "register",
      });
    }
    const again = old?.member.epoch === member.epoch;
    if (old && !again) this.#remove(old, "it was started anew");
    if (old && again) this.#byIdentity.delete(identityKey(old.identity));

    const seat: Seat = { member, identity: identity.slice(), lastHeardAt: now };
    this.#seats.set(member.id, seat);
    this.#byIdentity.set(identityKey(identity), seat);
    const members = [...this.#seats.values()].map((s) => s.member).filter((m) => m.role !== member.role);
    const { epoch: registryEpoch, leaseMs } = this.#options;
    this.#send(identity, encodeAnswer("registered", { registryEpoch, leaseMs, members }));
    this.#tellOthers(member, encodeAnswer("joined", { member }));
  }

  #remove(seat: Seat, reason: string): void {
    this.#seats.delete(seat.member.id);
    this.#byIdentity.delete(identityKey(seat.identity));
    this.#tellOthers(seat.member, encodeAnswer("lost", { id: seat.member.id, epoch: seat.member.epoch, reason }));
  }

  #tellOthers(member: Member, frames: Frame[]): void {
    for (const seat of this.#seats.values()) {
      if (seat.member.role !== member.role) this.#send(seat.identity, frames);
    }
  }

  #refuse(
    identity: Frame,
    code: keyof typeof RegistryErrorCode,
    message: string,
    details: Partial<AnswerHeaders["error"]> = {},
  ): void {
    this.#send(identity, encodeAnswer("error", { code, message, ...details }));
  }
}

function otherRole(member: Member): string {
  return member.role === "prefill" ? "decode" : "prefill";
}

function identityKey(identity: Frame): string {
  return Buffer.from(identity.buffer, identity.byteOffset, identity.byteLength).toString("latin1");
}

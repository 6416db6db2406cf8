import { closeDescriptor, duplicateDescriptor, type Socket } from "../../../ffi/libc/index.ts";
import type { Reactor, Watch } from "../transport.ts";

/** Connections that have not yet said who they are; the oldest goes when one more comes. */
const MAX_GUESTS = 64;

export interface LobbyContext {
  readonly reactor: Reactor;
  readonly now: () => number;
  readonly connectTimeoutMs: number;
}

/**
 * `waiting`: more has to come; `refused`: to be closed; a function: called once the lobby watches the socket no more, to
 * take it over.
 */
export type Greeting = "waiting" | "refused" | (() => void);

interface Guest {
  readonly socket: Socket;
  readonly watch: Watch;
  readonly since: number;
}

/**
 * Accepts connections and keeps each until it has shown a token, for as long as `connectTimeoutMs`. Strangers can fill
 * it and are thrown out again; they never reach a pair.
 */
export class Lobby<S extends Socket> {
  readonly #listener: Socket & { accept(): S | undefined };
  readonly #context: LobbyContext;
  readonly #admit: (socket: S) => () => Greeting;
  readonly #watch: Watch;
  readonly #guests = new Set<Guest>();
  /** Given up to be able to turn somebody away when this process has no descriptor left. */
  #spare: number | undefined;

  /** `admit` gives, for a new connection, what to call whenever it is readable. */
  constructor(
    listener: Socket & { accept(): S | undefined },
    context: LobbyContext,
    admit: (socket: S) => () => Greeting,
  ) {
    this.#listener = listener;
    this.#context = context;
    this.#admit = admit;
    this.#spare = duplicateDescriptor(listener.fd);
    this.#watch = context.reactor.watch(listener.fd, { readable: true }, () => this.#accept());
  }

  get guests(): number {
    return this.#guests.size;
  }

  close(): void {
    this.#watch.close();
    for (const guest of this.#guests) this.#dismiss(guest);
    if (this.#spare !== undefined) closeDescriptor(this.#spare);
    this.#spare = undefined;
    this.#listener.close();
  }

  #accept(): void {
    this.#dismissLate();
    for (let count = 0; count < MAX_GUESTS; count++) {
      let socket: S | undefined;
      try {
        socket = this.#listener.accept();
      } catch {
        this.#turnAway();
        return;
      }
      if (!socket) return;
      if (this.#guests.size >= MAX_GUESTS) {
        const [oldest] = this.#guests;
        if (oldest) this.#dismiss(oldest);
      }
      this.#receive(socket);
    }
  }

  /** No descriptor is left: who waits is sent away, or the listener would stay readable and be called for ever. */
  #turnAway(): void {
    if (this.#spare !== undefined) closeDescriptor(this.#spare);
    this.#spare = undefined;
    try {
      this.#listener.accept()?.close();
      this.#spare = duplicateDescriptor(this.#listener.fd);
    } catch {
      // Another thread was quicker to take the descriptor; the next call tries again.
    }
  }

  #receive(socket: S): void {
    const greet = this.#admit(socket);
    const watch = this.#context.reactor.watch(socket.fd, { readable: true }, () => {
      const greeting = greet();
      if (greeting === "waiting") return;
      if (greeting === "refused") this.#dismiss(guest);
      else {
        this.#forget(guest);
        greeting();
      }
    });
    const guest = { socket, watch, since: this.#context.now() };
    this.#guests.add(guest);
  }

  #dismissLate(): void {
    const limit = this.#context.now() - this.#context.connectTimeoutMs;
    for (const guest of this.#guests) if (guest.since < limit) this.#dismiss(guest);
  }

  #dismiss(guest: Guest): void {
    this.#forget(guest);
    guest.socket.close();
  }

  #forget(guest: Guest): void {
    this.#guests.delete(guest);
    guest.watch.close();
  }
}

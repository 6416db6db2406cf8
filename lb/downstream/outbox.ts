import type { Socket } from "bun";

/** Bytes that wait for a client to read before what makes more of them is told to wait. */
const HIGH_WATER = 64 * 1024;

/** What is sent to one client: what its socket does not take at once waits here. */
export class Outbox {
  readonly #socket: Socket<unknown>;
  #unsent: Buffer[] = [];
  #waiting = 0;
  #ending = false;

  constructor(socket: Socket<unknown>) {
    this.#socket = socket;
  }

  /** The client has not read what it was sent. */
  get behind(): boolean {
    return this.#waiting > HIGH_WATER;
  }

  get empty(): boolean {
    return this.#waiting === 0;
  }

  /** Sends bytes that are `shared`, to be copied if they must wait, or that nobody changes any more. */
  send(bytes: Buffer, length: number, shared: boolean): void {
    let sent = 0;
    if (this.#waiting === 0) {
      // -1: the socket is closed; its close handler tells.
      sent = this.#socket.write(bytes, 0, length);
      if (sent < 0 || sent >= length) return;
    }
    const rest = bytes.subarray(sent, length);
    this.#unsent.push(shared ? Buffer.from(rest) : rest);
    this.#waiting += rest.length;
  }

  /** The socket takes more. */
  drain(): void {
    while (this.#unsent.length > 0) {
      const first = this.#unsent[0]!;
      const sent = this.#socket.write(first, 0, first.length);
      if (sent < 0) return;
      this.#waiting -= sent;
      if (sent < first.length) {
        this.#unsent[0] = first.subarray(sent);
        return;
      }
      this.#unsent.shift();
    }
    if (this.#ending) this.#socket.shutdown();
  }

  /** Says that nothing follows, once all is sent. */
  end(): void {
    this.#ending = true;
    if (this.#waiting === 0) this.#socket.shutdown();
  }
}

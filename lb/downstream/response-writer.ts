import { STATUS_CODES } from "node:http";
import { writeLatin1 } from "../wire/index.ts";
import type { Outbox } from "./outbox.ts";

/** Above this a body goes out from where it lies; below, one copy is cheaper than two system calls. */
const JOIN_BELOW = 128 * 1024;
const MAX_HEAD = 64 * 1024;

/** The socket copies what it takes at once, so one buffer serves every connection of this thread. */
const scratch = Buffer.alloc(MAX_HEAD + JOIN_BELOW);

/** How the client learns where a response ends. */
export type Framing = "chunked" | "close";

/** The responses on one connection, as bytes (RFC 9112): heads and bodies in as few writes as they allow. */
export class ResponseWriter {
  readonly #outbox: Outbox;
  /** A stream's head, which goes out with its first events. */
  #head = "";
  #framing: Framing = "chunked";

  constructor(outbox: Outbox) {
    this.#outbox = outbox;
  }

  /** Sends a whole response; `lines` are header lines. Without a body it has no length either (204, an answer to HEAD). */
  whole(status: number, lines: string, body: Buffer | undefined): void {
    const length = body === undefined ? "" : `content-length: ${body.length}\r\n`;
    this.#send(`${statusLine(status)}${lines}${length}${dateLine()}\r\n`, body, "");
  }

  /** Begins a response that comes in parts. */
  begin(status: number, lines: string, framing: Framing): void {
    this.#framing = framing;
    const coding = framing === "chunked" ? "transfer-encoding: chunked\r\n" : "";
    this.#head = `${statusLine(status)}${lines}${coding}${dateLine()}\r\n`;
  }

  part(bytes: Buffer): void {
    if (this.#framing === "close") this.#send(this.#takeHead(), bytes, "");
    else if (bytes.length > 0) this.#send(`${this.#takeHead()}${bytes.length.toString(16)}\r\n`, bytes, "\r\n");
  }

  /** Sends the head if no part has taken it along. */
  flush(): void {
    if (this.#head !== "") this.#send(this.#takeHead(), undefined, "");
  }

  /** Ends a response that came in parts. */
  finish(): void {
    const head = this.#takeHead();
    this.#send(this.#framing === "chunked" ? `${head}0\r\n\r\n` : head, undefined, "");
  }

  /** Tells a client that waits with its body to go on. */
  goOn(): void {
    this.#send("HTTP/1.1 100 Continue\r\n\r\n", undefined, "");
  }

  #takeHead(): string {
    const head = this.#head;
    this.#head = "";
    return head;
  }

  #send(before: string, body: Buffer | undefined, after: string): void {
    const size = body?.length ?? 0;
    if (before.length > MAX_HEAD || size > JOIN_BELOW - 2) {
      for (const piece of [Buffer.from(before, "latin1"), body, Buffer.from(after, "latin1")]) {
        if (piece !== undefined && piece.length > 0) this.#outbox.send(piece, piece.length, false);
      }
      return;
    }
    let at = writeLatin1(scratch, before, 0);
    if (body !== undefined) at += body.copy(scratch, at);
    if (after !== "") at += writeLatin1(scratch, after, at);
    if (at > 0) this.#outbox.send(scratch, at, true);
  }
}

const STATUS_LINES = new Map<number, string>();

function statusLine(status: number): string {
  let line = STATUS_LINES.get(status);
  if (line === undefined) {
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
    STATUS_LINES.set(status, line);
  }
  return line;
}

let date = "";
let dateUntil = 0;

/** The `Date` field (RFC 9110 section 6.6.1), made once a second. */
function dateLine(): string {
  const time = Date.now();
  if (time >= dateUntil) {
    date = `date: ${new Date(time).toUTCString()}\r\n`;
    dateUntil = time - (time % 1000) + 1000;
  }
  return date;
}

import type { Socket } from "bun";

/** One request as a mock worker saw it. */
export interface MockRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: ReadonlyMap<string, string>;
  readonly text: string;
  readonly connection: MockConnection;
}

/** The server side of one HTTP/1.1 connection, with everything at hand that a well-behaved server would not do. */
export class MockConnection {
  readonly #socket: Socket<MockConnection>;
  readonly #onRequest: (request: MockRequest) => void;
  #received = Buffer.alloc(0);
  #unsent: Buffer[] = [];
  readonly onGone: (() => void)[] = [];
  /** Called once, at the end of the next answer. */
  onAnswer: (() => void) | undefined;
  gone = false;
  served = 0;
  /** ms after an answer at which it is closed unless another request has come; 0: never. */
  keepAlive = 0;
  onExpiry: (() => void) | undefined;

  constructor(socket: Socket<MockConnection>, onRequest: (request: MockRequest) => void) {
    this.#socket = socket;
    this.#onRequest = onRequest;
  }

  push(bytes: Uint8Array): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return;
      const [line = "", ...lines] = this.#received.toString("latin1", 0, end).split("\r\n");
      const headers = new Map<string, string>();
      for (const field of lines) {
        const colon = field.indexOf(":");
        headers.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
      }
      const length = Number(headers.get("content-length") ?? 0);
      if (this.#received.length < end + 4 + length) return;
      const text = this.#received.toString("utf8", end + 4, end + 4 + length);
      this.#received = this.#received.subarray(end + 4 + length);
      const [method = "", path = ""] = line.split(" ");
      this.served++;
      this.#onRequest({ method, path, headers, text, connection: this });
    }
  }

  closed(): void {
    this.gone = true;
    for (const callback of this.onGone.splice(0)) callback();
  }

  /** Nothing that was written waits for the other side to read. */
  get writable(): boolean {
    return this.#unsent.length === 0 && !this.gone;
  }

  raw(text: string | Uint8Array): void {
    if (this.gone) return;
    const bytes = Buffer.from(text);
    if (this.#unsent.length > 0) {
      this.#unsent.push(bytes);
      return;
    }
    const sent = this.#socket.write(bytes);
    if (sent >= 0 && sent < bytes.length) this.#unsent.push(bytes.subarray(sent));
  }

  drained(): void {
    const waiting = this.#unsent.splice(0);
    for (const bytes of waiting) this.raw(bytes);
  }

  reply(status: number, body: string, fields: Record<string, string> = {}): void {
    const lines = Object.entries({ "content-type": "application/json", server: "uvicorn", ...fields });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    this.raw(`HTTP/1.1 ${status} X\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
    this.#answered();
  }

  streamHead(status = 200): void {
    this.raw(
      `HTTP/1.1 ${status} X\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n`,
    );
  }

  chunk(text: string): void {
    this.raw(`${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`);
  }

  streamEnd(): void {
    this.raw("0\r\n\r\n");
    this.#answered();
  }

  #answered(): void {
    const { served, onAnswer } = this;
    this.onAnswer = undefined;
    onAnswer?.();
    if (this.keepAlive === 0) return;
    setTimeout(() => {
      if (this.served !== served || this.gone) return;
      this.onExpiry?.();
      this.close();
    }, this.keepAlive);
  }

  /** Closes with RST, so that what is under way is lost. */
  reset(): void {
    this.#socket.terminate();
  }

  close(): void {
    this.#socket.end();
  }
}

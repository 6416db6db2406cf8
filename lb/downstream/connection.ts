import type { Socket } from "bun";
import { tick } from "../clock.ts";
import { errorAnswer, passedLines, type Answer } from "../relay/index.ts";
import { ProtocolError, RequestParser, type RequestHead } from "../wire/index.ts";
import { Outbox } from "./outbox.ts";
import { ResponseWriter } from "./response-writer.ts";

/** Bytes of further requests that are read while one is answered. */
const MAX_EARLY = 64 * 1024;

/** A whole request: its head, and the range of some bytes that is its body. */
export interface ReceivedRequest {
  readonly head: RequestHead;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Who works on a response: told when the client has left before its end, and when one that was behind takes more. */
export interface Responder {
  gone(): void;
  ready?(): void;
}

/** What a connection asks of whoever listens. */
export interface ConnectionOwner {
  readonly maxBody: number;
  /** Has a request answered: by `answer`, or by `begin`, `push` and `close`. */
  onRequest(connection: Connection, request: ReceivedRequest): void;
  /** The client's next move is waited for in the middle of something, or no longer. */
  onWaiting(connection: Connection, waiting: boolean): void;
  onClosed(connection: Connection): void;
  /** Something threw that should not have. */
  onError(error: unknown): void;
}

/** One client's connection, carrying one request after another. */
export class Connection {
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket<Connection>;
  readonly #parser: RequestParser;
  readonly #outbox: Outbox;
  readonly #writer: ResponseWriter;
  /** The request that is answered. */
  #head: RequestHead | undefined;
  #responder: Responder | undefined;
  /** What came behind it. */
  #early: Buffer | undefined;
  #paused = false;
  #taking = false;
  #toldToGoOn = false;
  #waiting = false;
  /** The last response is being sent, nothing more is read. */
  #ending = false;
  #closed = false;
  /** When the client last did something. */
  movedAt = 0;

  constructor(owner: ConnectionOwner, socket: Socket<Connection>) {
    this.#owner = owner;
    this.#socket = socket;
    this.#parser = new RequestParser(owner.maxBody);
    this.#outbox = new Outbox(socket);
    this.#writer = new ResponseWriter(this.#outbox);
  }

  /** A response will come from this responder. */
  waits(responder: Responder): void {
    this.#responder = responder;
  }

  /** Answers with a whole response; `lines` are header lines besides those of the answer. */
  answer({ status, fields, body }: Answer, lines = ""): void {
    if (this.#closed) return;
    const silent = status === 204 || status === 304 || this.#head?.method === "HEAD";
    this.#writer.whole(status, passedLines(fields) + lines + this.#persistence(), silent ? undefined : body);
    this.#answered();
  }

  /** Begins a response whose body comes by `push` and ends with `close`. */
  begin({ status, fields }: Omit<Answer, "body">, lines: string, responder: Responder): void {
    if (this.#closed) return responder.gone();
    this.#responder = responder;
    const chunked = this.#head?.minor === 1;
    if (!chunked) this.#ending = true;
    this.#writer.begin(status, passedLines(fields) + lines + this.#persistence(), chunked ? "chunked" : "close");
  }

  /** Sends a part of the body, which nobody changes any more; false: the client is behind. */
  push(bytes: Buffer): boolean {
    if (this.#closed) return true;
    this.#writer.part(bytes);
    return !this.#outbox.behind;
  }

  /** Sends the head of a response of which no part has come yet. */
  flush(): void {
    if (!this.#closed) this.#writer.flush();
  }

  close(): void {
    if (this.#closed) return;
    this.#writer.finish();
    this.#answered();
  }

  /** Answers what is no request, or does not come in time, and reads nothing more. */
  refuse(status: number, code: string, message: string): void {
    this.#ending = true;
    this.answer(errorAnswer(status, code, message));
  }

  /** The client has not moved for too long. */
  overdue(): void {
    if (this.#ending || this.#head !== undefined || !this.#outbox.empty) this.terminate();
    else this.refuse(408, "request_timeout", "the rest of the request did not come");
  }

  terminate(): void {
    this.#socket.terminate();
  }

  onData(bytes: Buffer): void {
    this.movedAt = tick();
    // What comes behind the last request is thrown away: closing on it would take the response from the client.
    if (this.#ending) return;
    if (this.#head === undefined && this.#early === undefined) return this.#take(bytes);
    this.#early = this.#early === undefined ? bytes : Buffer.concat([this.#early, bytes]);
    if (this.#early.length <= MAX_EARLY || this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  onDrain(): void {
    this.movedAt = tick();
    this.#outbox.drain();
    if (!this.#outbox.empty) return;
    if (this.#head === undefined) this.#wait(this.#ending || this.#parser.started);
    this.#responder?.ready?.();
  }

  onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ending = true;
    tick();
    this.#wait(false);
    this.#owner.onClosed(this);
    const responder = this.#responder;
    this.#responder = undefined;
    responder?.gone();
  }

  /** Reads request after request, until one is not whole or is not answered at once. */
  #take(bytes: Buffer): void {
    this.#taking = true;
    let more: Buffer | undefined = bytes;
    while (more !== undefined && !this.#ending && this.#head === undefined) {
      const request = this.#parse(more);
      more = undefined;
      if (request !== undefined) {
        this.#serve(request);
        more = this.#early;
      }
    }
    this.#taking = false;
  }

  /** The next request, if it is whole. */
  #parse(bytes: Buffer): ReceivedRequest | undefined {
    const parser = this.#parser;
    this.#early = undefined;
    try {
      if (!parser.push(bytes)) {
        this.#incomplete();
        return undefined;
      }
    } catch (error) {
      if (error instanceof ProtocolError) this.refuse(error.status, "bad_request", `bad HTTP: ${error.message}`);
      else this.#broke(error);
      return undefined;
    }
    const request = { head: parser.head!, bytes: parser.bytes, start: parser.start, end: parser.end };
    this.#early = parser.rest;
    parser.next();
    return request;
  }

  #serve(request: ReceivedRequest): void {
    if (this.#waiting) this.#wait(false);
    this.#head = request.head;
    this.#toldToGoOn = false;
    try {
      this.#owner.onRequest(this, request);
    } catch (error) {
      this.#broke(error);
    }
  }

  #incomplete(): void {
    const { started, head } = this.#parser;
    this.#wait(started);
    if (head?.expectsContinue !== true || this.#toldToGoOn) return;
    this.#toldToGoOn = true;
    this.#writer.goOn();
  }

  #wait(waiting: boolean): void {
    if (waiting === this.#waiting) return;
    this.#waiting = waiting;
    this.#owner.onWaiting(this, waiting);
  }

  #broke(error: unknown): void {
    this.#owner.onError(error);
    this.terminate();
  }

  #persistence(): string {
    if (this.#ending || this.#head?.keepAlive !== true) {
      this.#ending = true;
      return "connection: close\r\n";
    }
    return this.#head.minor === 0 ? "connection: keep-alive\r\n" : "";
  }

  #answered(): void {
    this.#head = undefined;
    this.#responder = undefined;
    if (this.#ending) this.#outbox.end();
    if (this.#ending || !this.#outbox.empty) this.#wait(true);
    if (this.#ending || this.#taking || this.#early === undefined) return;
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    this.#take(this.#early);
  }
}

import { ChunkedDecoder } from "./chunked-decoder.ts";
import { headEnd } from "./fields.ts";
import { ProtocolError } from "./protocol-error.ts";
import { RequestHead } from "./request-head.ts";

const NONE = Buffer.alloc(0);
const CR = 13;
const LF = 10;

/**
 * One HTTP/1.1 request after another from a byte stream. A body is given whole: a request is given to workers when its end
 * has come, because what is wrong with it must be known before.
 */
export class RequestParser {
  readonly #maxBody: number;
  readonly #chunked = new ChunkedDecoder();
  #pending: Buffer | undefined;
  #pieces: Buffer[] = [];
  #size = 0;
  /** A client's heads repeat: the last one is remembered with what it was parsed to. */
  #lastText = "";
  #lastHead: RequestHead | undefined;
  /** Of the request that is read, once it is known. */
  head: RequestHead | undefined;
  /** What the body lies in, and where. */
  bytes: Buffer = NONE;
  start = 0;
  end = 0;
  /** What came behind the request's end. */
  rest: Buffer | undefined;

  /** Bodies may have up to `maxBody` bytes. */
  constructor(maxBody: number) {
    this.#maxBody = maxBody;
  }

  /** True between the first byte of a request and its last. */
  get started(): boolean {
    return this.#pending !== undefined || this.head !== undefined;
  }

  /** Takes what the socket gave, and keeps it; true once a request is whole. Throws ProtocolError. */
  push(bytes: Buffer): boolean {
    if (this.head !== undefined) return this.#takeBody(this.head, bytes, 0);
    const all = this.#pending === undefined ? bytes : Buffer.concat([this.#pending, bytes]);
    this.#pending = undefined;
    // Some clients send an empty line behind a body (RFC 9112 section 2.2).
    const from = all[0] === CR && all[1] === LF ? 2 : 0;
    const end = headEnd(all, from);
    if (end < 0) {
      if (all.length > 0) this.#pending = all;
      return false;
    }
    this.head = this.#parse(all.toString("latin1", from, end));
    if (this.head.length > this.#maxBody) this.#tooLarge();
    if (this.head.chunked) this.#chunked.reset();
    return this.#takeBody(this.head, all, end + 4);
  }

  /** Forgets the request that was read: another may come. */
  next(): void {
    this.head = undefined;
    this.bytes = NONE;
    this.rest = undefined;
  }

  #parse(text: string): RequestHead {
    if (this.#lastHead === undefined || text !== this.#lastText) {
      this.#lastHead = new RequestHead(text);
      this.#lastText = text;
    }
    return this.#lastHead;
  }

  #takeBody(head: RequestHead, bytes: Buffer, at: number): boolean {
    if (head.chunked) return this.#takeChunks(bytes, at);
    const end = at + head.length - this.#size;
    if (end > bytes.length) {
      this.#keep(bytes, at, bytes.length);
      return false;
    }
    this.#whole(bytes, at, end);
    if (end < bytes.length) this.rest = bytes.subarray(end);
    return true;
  }

  #takeChunks(bytes: Buffer, at: number): boolean {
    const chunked = this.#chunked;
    chunked.decode(bytes, at);
    const { from, to, done, consumed } = chunked;
    if (this.#size + to - from > this.#maxBody) this.#tooLarge();
    if (!done) {
      this.#keep(bytes, from, to);
      return false;
    }
    this.#whole(bytes, from, to);
    if (consumed < bytes.length) this.rest = bytes.subarray(consumed);
    return true;
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    if (start === end) return;
    const piece = bytes.subarray(start, end);
    // Mostly framing: a view would keep all of it.
    this.#pieces.push(piece.length * 2 < bytes.length ? Buffer.from(piece) : piece);
    this.#size += piece.length;
  }

  #whole(bytes: Buffer, start: number, end: number): void {
    if (this.#pieces.length === 0) {
      this.bytes = bytes;
      this.start = start;
      this.end = end;
      return;
    }
    this.#keep(bytes, start, end);
    this.bytes = Buffer.concat(this.#pieces);
    this.start = 0;
    this.end = this.#size;
    this.#pieces = [];
    this.#size = 0;
  }

  #tooLarge(): never {
    throw new ProtocolError(`a body of at most ${this.#maxBody} bytes`, "a larger one", 413);
  }
}

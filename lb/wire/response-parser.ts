import { ChunkedDecoder } from "./chunked-decoder.ts";
import { headEnd } from "./fields.ts";
import { ProtocolError } from "./protocol-error.ts";
import { parseHead, type ResponseHead } from "./response-head.ts";

/**
 * Where the parts of one response go. Body slices are given as the bytes pushed and the range in them: making a view of a
 * small buffer costs more than anything else that is done with it.
 */
export interface ResponseSink {
  onHead(head: ResponseHead): void;
  /** `chunks` counts the data chunks that began in this slice (1 for other framings). */
  onBody(bytes: Buffer, start: number, end: number, chunks: number): void;
  /** `reusable`: the connection may carry another request. */
  onEnd(reusable: boolean): void;
}

const NONE = Buffer.alloc(0);
/** Interim responses in a row after which a peer is taken to be broken. */
const MAX_INTERIM = 16;

/** One HTTP/1.1 response after another from a byte stream, for a client that never pipelines. */
export class ResponseParser {
  readonly #chunked = new ChunkedDecoder();
  #sink: ResponseSink | undefined;
  #method = "POST";
  #head: ResponseHead | undefined;
  #pending = NONE;
  #left = 0;
  #interim = 0;
  /** A server's heads repeat for the length of a second or more: the last one is remembered with what it was parsed to. */
  #lastText = "";
  #lastHead: ResponseHead | undefined;
  #lastMethod = "";
  /** True once a byte of the current response has come. */
  started = false;

  /** Expects one response to a request with this method. */
  begin(sink: ResponseSink, method: string): void {
    this.#sink = sink;
    this.#method = method;
    this.#head = undefined;
    this.#pending = NONE;
    this.#interim = 0;
    this.started = false;
  }

  /** True between `begin` and the end of the response. */
  get expecting(): boolean {
    return this.#sink !== undefined;
  }

  /** Takes what the socket gave. Chunked data is compacted in place. Throws ProtocolError. */
  push(bytes: Buffer): void {
    if (this.#sink === undefined) throw new ProtocolError("silence between responses", `${bytes.length} bytes`);
    this.started = true;
    let at = 0;
    while (this.#head === undefined) {
      const rest = this.#pending.length > 0 ? Buffer.concat([this.#pending, bytes.subarray(at)]) : bytes;
      if (this.#pending.length > 0) {
        bytes = rest;
        at = 0;
        this.#pending = NONE;
      }
      const next = this.#takeHead(bytes, at);
      if (next < 0) return;
      at = next;
    }
    this.#takeBody(this.#head, bytes, at);
  }

  /** The peer closed the stream. Ends a close-delimited body; anything else unfinished throws ProtocolError. */
  eof(): void {
    if (this.#sink === undefined) return;
    if (this.#head?.framing !== "close")
      throw new ProtocolError("a whole response", this.started ? "a part of it" : "nothing");
    this.#finish(false);
  }

  #takeHead(bytes: Buffer, at: number): number {
    const end = headEnd(bytes, at);
    if (end < 0) {
      // A copy: the slice must outlive the caller's buffer.
      this.#pending = Buffer.from(bytes.subarray(at));
      return -1;
    }
    const head = this.#parse(bytes.toString("latin1", at, end));
    if (head.status >= 200) {
      this.#head = head;
      this.#left = head.length;
      if (head.framing === "chunked") this.#chunked.reset();
      this.#sink!.onHead(head);
    } else if (head.status === 101 || ++this.#interim > MAX_INTERIM) {
      throw new ProtocolError("a final response", `status ${head.status}`);
    }
    return end + 4;
  }

  #parse(text: string): ResponseHead {
    if (this.#lastHead === undefined || text !== this.#lastText || this.#method !== this.#lastMethod) {
      this.#lastHead = parseHead(text, this.#method);
      this.#lastText = text;
      this.#lastMethod = this.#method;
    }
    return this.#lastHead;
  }

  #takeBody(head: ResponseHead, bytes: Buffer, at: number): void {
    // The sink may have given the exchange up while it was told of the head.
    if (this.#sink === undefined) return;
    let end = bytes.length;
    switch (head.framing) {
      case "none":
        end = at;
        break;
      case "close":
        if (at < end) this.#sink.onBody(bytes, at, end, 1);
        return;
      case "length":
        end = Math.min(end, at + this.#left);
        this.#left -= end - at;
        if (end > at) this.#sink.onBody(bytes, at, end, 1);
        if (this.#left > 0) return;
        break;
      case "chunked": {
        const before = this.#chunked.chunks;
        this.#chunked.decode(bytes, at);
        const { from, to, chunks, done } = this.#chunked;
        end = this.#chunked.consumed;
        if (to > from) this.#sink.onBody(bytes, from, to, chunks - before);
        if (!done) return;
        break;
      }
    }
    // Bytes after the end belong to no request of ours: the next response could be a forged one.
    this.#finish(head.keepAlive && end === bytes.length);
  }

  #finish(reusable: boolean): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.onEnd(reusable);
  }
}

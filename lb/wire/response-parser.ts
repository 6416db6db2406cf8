import { ChunkedDecoder } from "./chunked-decoder.ts";
import { ProtocolError } from "./protocol-error.ts";
import { MAX_HEAD_BYTES, parseHead, type ResponseHead } from "./response-head.ts";

/** Where the parts of one response go. Body slices are views of the bytes pushed: valid until the caller reuses those. */
export interface ResponseSink {
  onHead(head: ResponseHead): void;
  /** `chunks` counts the data chunks that began in this slice (1 for other framings). */
  onBody(slice: Uint8Array, chunks: number): void;
  /** `reusable`: the connection may carry another request. */
  onEnd(reusable: boolean): void;
}

const NONE = new Uint8Array(0);
/** Interim responses in a row after which a peer is taken to be broken. */
const MAX_INTERIM = 16;

/** One HTTP/1.1 response after another from a byte stream, for a client that never pipelines. */
export class ResponseParser {
  readonly #chunked = new ChunkedDecoder();
  #sink: ResponseSink | undefined;
  #method = "POST";
  #head: ResponseHead | undefined;
  #pending: Uint8Array = NONE;
  #left = 0;
  #interim = 0;
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
  push(bytes: Uint8Array): void {
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

  #takeHead(bytes: Uint8Array, at: number): number {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = view.indexOf("\r\n\r\n", at, "latin1");
    if ((end < 0 ? bytes.length : end) - at > MAX_HEAD_BYTES) {
      throw new ProtocolError(`a head of at most ${MAX_HEAD_BYTES} bytes`, "a larger one");
    }
    if (end < 0) {
      // A copy: the slice must outlive the caller's buffer.
      this.#pending = bytes.slice(at);
      return -1;
    }
    const head = parseHead(view.toString("latin1", at, end), this.#method);
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

  #takeBody(head: ResponseHead, bytes: Uint8Array, at: number): void {
    // The sink may have given the exchange up while it was told of the head.
    if (this.#sink === undefined) return;
    let end = bytes.length;
    switch (head.framing) {
      case "none":
        end = at;
        break;
      case "close":
        if (at < end) this.#sink.onBody(at === 0 ? bytes : bytes.subarray(at), 1);
        return;
      case "length":
        end = Math.min(end, at + this.#left);
        this.#left -= end - at;
        if (end > at) this.#sink.onBody(bytes.subarray(at, end), 1);
        if (this.#left > 0) return;
        break;
      case "chunked": {
        const before = this.#chunked.chunks;
        const data = this.#chunked.decode(bytes, at);
        end = this.#chunked.consumed;
        if (data.length > 0) this.#sink.onBody(data, this.#chunked.chunks - before);
        if (!this.#chunked.done) return;
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

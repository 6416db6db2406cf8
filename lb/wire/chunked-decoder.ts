import { ProtocolError } from "./protocol-error.ts";
import { MAX_HEAD_BYTES } from "./fields.ts";

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
const MAX_EXTENSION_BYTES = 4096;
/** 12 hex digits: 2^48 bytes, far above any answer and exactly representable. */
const MAX_SIZE_DIGITS = 12;

const STATE = {
  size: 0,
  extension: 1,
  sizeLF: 2,
  data: 3,
  dataCR: 4,
  dataLF: 5,
  trailer: 6,
  trailerField: 7,
  trailerLF: 8,
  endLF: 9,
  done: 10,
} as const;

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/**
 * The chunked coding (RFC 9112 section 7.1), fed with whatever pieces the socket gives. Data is compacted inside the
 * piece it came in, so that a read with a hundred small chunks is handed on as one slice.
 */
export class ChunkedDecoder {
  #state: number = STATE.size;
  #left = 0;
  #digits = 0;
  #overhead = 0;
  /** Offset just after the last byte consumed by the latest `decode`. */
  consumed = 0;
  /** Where the data found by the latest `decode` lies; equal where there was none. */
  from = 0;
  to = 0;
  /** Data chunks begun since `reset`: an engine sends one event in each. */
  chunks = 0;

  get done(): boolean {
    return this.#state === STATE.done;
  }

  reset(): void {
    this.#state = STATE.size;
    this.#left = 0;
    this.#digits = 0;
    this.#overhead = 0;
    this.chunks = 0;
  }

  /** Decodes `bytes` from `start`, in place: the data ends up between `from` and `to`. */
  decode(bytes: Uint8Array, start: number): void {
    const end = bytes.length;
    let at = start;
    let first = -1;
    let to = 0;
    while (at < end && this.#state !== STATE.done) {
      if (this.#state === STATE.data) {
        const stop = Math.min(end, at + this.#left);
        if (first < 0) {
          first = at;
          to = stop;
        } else {
          bytes.copyWithin(to, at, stop);
          to += stop - at;
        }
        this.#left -= stop - at;
        at = stop;
        if (this.#left === 0) this.#state = STATE.dataCR;
      } else {
        this.#frame(bytes[at]!);
        at++;
      }
    }
    this.consumed = at;
    this.from = first < 0 ? 0 : first;
    this.to = to;
  }

  #frame(byte: number): void {
    switch (this.#state) {
      case STATE.size:
        return this.#size(byte);
      case STATE.extension:
        if (byte === CR) this.#state = STATE.sizeLF;
        else this.#spend(byte, MAX_EXTENSION_BYTES, "a chunk extension");
        return;
      case STATE.sizeLF:
        return this.#expect(byte, LF, this.#left === 0 ? STATE.trailer : this.#beginData());
      case STATE.dataCR:
        return this.#expect(byte, CR, STATE.dataLF);
      case STATE.dataLF:
        this.#digits = 0;
        this.#overhead = 0;
        return this.#expect(byte, LF, STATE.size);
      case STATE.trailer:
        if (byte === CR) this.#state = STATE.endLF;
        else if (byte === 32 || byte === 9) throw new ProtocolError("a trailer field", "a folded line");
        else {
          this.#spend(byte, MAX_HEAD_BYTES, "trailers");
          this.#state = STATE.trailerField;
        }
        return;
      case STATE.trailerField:
        if (byte === CR) this.#state = STATE.trailerLF;
        else this.#spend(byte, MAX_HEAD_BYTES, "trailers");
        return;
      case STATE.trailerLF:
        return this.#expect(byte, LF, STATE.trailer);
      default:
        return this.#expect(byte, LF, STATE.done);
    }
  }

  #size(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      if (++this.#digits > MAX_SIZE_DIGITS)
        throw new ProtocolError(`a chunk size of ${MAX_SIZE_DIGITS} digits`, "more");
      this.#left = this.#left * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw new ProtocolError("a chunk size", `byte ${byte}`);
    if (byte === CR) this.#state = STATE.sizeLF;
    else if (byte === SEMICOLON) this.#state = STATE.extension;
    else throw new ProtocolError("CRLF after the chunk size", `byte ${byte}`);
  }

  #beginData(): number {
    this.chunks++;
    return STATE.data;
  }

  #expect(byte: number, wanted: number, next: number): void {
    if (byte !== wanted) throw new ProtocolError(`byte ${wanted} in the chunk framing`, `byte ${byte}`);
    this.#state = next;
  }

  #spend(byte: number, limit: number, what: string): void {
    if (byte < 32 && byte !== 9) throw new ProtocolError(`printable ${what}`, `byte ${byte}`);
    if (++this.#overhead > limit) throw new ProtocolError(`${what} of ${limit} bytes`, "more");
  }
}

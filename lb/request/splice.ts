import { writeLatin1 } from "../wire/index.ts";

/** Replaces the bytes [start, end) of a body by a text; with an empty text, cuts them out. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The body that is [start, end) of some bytes, an object that ends with the brace at `close`. */
export interface Spliced {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly close: number;
  /** What is put before the brace needs a comma in front. */
  readonly comma: boolean;
}

const NONE = Buffer.alloc(0);

/**
 * A body to be written: ranges of the client's bytes (an offset, an end, …) with ASCII texts between them. Ranges and not
 * views: a small body is copied into the request once and needs none, a large one goes out from where it lies.
 */
export class SplicedBody {
  readonly #bytes: Buffer;
  readonly #parts: readonly (string | readonly [start: number, end: number])[];
  readonly length: number;

  private constructor(bytes: Buffer, parts: readonly (string | readonly [number, number])[]) {
    this.#bytes = bytes;
    this.#parts = parts;
    let length = 0;
    for (const part of parts) length += typeof part === "string" ? part.length : part[1] - part[0];
    this.length = length;
  }

  /**
   * Applies edits (ascending, disjoint, ASCII) and puts `members` (`"key":value,…`) before the closing brace. No byte of
   * the client's body is changed otherwise.
   */
  static splice({ bytes, start, end, close, comma }: Spliced, edits: readonly Edit[], members: string): SplicedBody {
    const parts: (string | readonly [number, number])[] = [];
    let at = start;
    for (const edit of edits) {
      if (edit.start > at) parts.push([at, edit.start]);
      if (edit.text !== "") parts.push(edit.text);
      at = edit.end;
    }
    if (close > at) parts.push([at, close]);
    parts.push(comma ? `,${members}}` : `${members}}`);
    if (close + 1 < end) parts.push([close + 1, end]);
    return new SplicedBody(bytes, parts);
  }

  /** A body of one ASCII text. */
  static text(text: string): SplicedBody {
    return new SplicedBody(NONE, [text]);
  }

  /** Copies the body into `target`; gives the offset after it. */
  copyTo(target: Buffer, offset: number): number {
    let at = offset;
    for (const part of this.#parts) {
      if (typeof part === "string") at += writeLatin1(target, part, at);
      else at += this.#bytes.copy(target, at, part[0], part[1]);
    }
    return at;
  }

  /** The body without copying the client's bytes. */
  pieces(): Buffer[] {
    return this.#parts.map((part) =>
      typeof part === "string" ? Buffer.from(part, "latin1") : this.#bytes.subarray(part[0], part[1]),
    );
  }
}

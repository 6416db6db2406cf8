import { commonKey } from "./key-names.ts";

/** The kinds of JSON value, as much as a load balancer needs to know of one. */
export type JsonKind = "string" | "number" | "object" | "array" | "true" | "false" | "null";

/** One member of an object: where its bytes are and what it looks like, not what it says. */
export interface JsonMember {
  readonly key: string;
  readonly kind: JsonKind;
  /** Offset of the key's opening quote. */
  readonly keyStart: number;
  readonly start: number;
  readonly end: number;
  /** Offset just after the comma that follows, or -1 for the last member. */
  readonly next: number;
  /** Elements of an array, else 0. */
  readonly length: number;
  /** Kind of an array's first element, and of that element's first element. */
  readonly first: JsonKind | undefined;
  readonly second: JsonKind | undefined;
}

/** The bytes are not JSON (or nest deeper than any engine's parser allows). */
export class JsonSyntaxError extends Error {
  readonly code = "BAD_JSON";

  constructor(expected: string, at: number) {
    super(`expected ${expected} at byte ${at}`);
    this.name = "JsonSyntaxError";
  }
}

/** Python's parsers give up between 900 and 1,024 levels. */
export const MAX_DEPTH = 512;
/** Bytes of a string looked at one by one before the search for its end is left to `indexOf`. */
const CLOSE_LOOK = 4096;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

/** Whether `stringStop` came to its limit without seeing anything to stop at. */
let cut = false;

/** Offset of the quote that ends a string, or of what may not stand in one; `limit` if neither comes before it. */
function stringStop(bytes: Uint8Array, from: number, limit: number): number {
  let at = from | 0;
  cut = false;
  while (at < limit) {
    const byte = bytes[at]! | 0;
    if (byte === BACKSLASH) {
      const size = ESCAPE_SIZE[bytes[at + 1]! | 0]! | 0;
      if (size === 0 || (size === 6 && !hexDigits(bytes, at + 2))) return at;
      at = (at + size) | 0;
    } else if (byte === QUOTE || byte < 32) return at;
    else at = (at + 1) | 0;
  }
  cut = true;
  return at;
}

/** Bytes of the escape that a backslash and this byte begin; 0: there is none. */
const ESCAPE_SIZE = new Uint8Array(256);
for (const letter of '"\\/bfnrt') ESCAPE_SIZE[letter.charCodeAt(0)] = 2;
ESCAPE_SIZE[117] = 6;

function hexDigits(bytes: Uint8Array, from: number): boolean {
  for (let i = from; i < from + 4; i++) {
    const digit = bytes[i]! | 0;
    const lower = digit | 32;
    if ((digit < 48 || digit > 57) && (lower < 97 || lower > 102)) return false;
  }
  return true;
}

/** How many numbers `skipNumbers` passed. */
let skipped = 0;

/**
 * After a number in a list: passes as many `,digits` as follow, the bulk of a list of token ids; gives where it stopped. The
 * `| 0`s and unsigned comparisons halve the time: all stays in 32 bits, and a read past the end gives 0.
 */
function skipNumbers(bytes: Uint8Array, from: number): number {
  let at = from | 0;
  let count = 0;
  let byte = bytes[at]! | 0;
  while (byte === COMMA) {
    let look = (at + 1) | 0;
    byte = bytes[look]! | 0;
    if (byte === 32) {
      look = (look + 1) | 0;
      byte = bytes[look]! | 0;
    }
    if ((byte - 49) >>> 0 > 8) break;
    do {
      look = (look + 1) | 0;
      byte = bytes[look]! | 0;
    } while ((byte - 48) >>> 0 <= 9);
    // A point or an exponent: the general path reads this one again.
    if (byte === 46 || (byte | 32) === 101) break;
    at = look;
    count = (count + 1) | 0;
  }
  skipped = count;
  return at;
}

/**
 * Walks JSON text without making values of it. Accepts exactly what JSON.parse accepts (of text up to MAX_DEPTH deep),
 * but for one thing: control characters further than 4 KiB into one string are not looked for. They do not change where
 * anything begins or ends, and an engine's parser refuses them before and after a splice.
 */
export class JsonScanner {
  readonly #bytes: Buffer;
  readonly #end: number;
  #nextQuote = -1;
  #nextBackslash = -1;
  at = 0;
  /** Of the array read last. */
  length = 0;
  first: JsonKind | undefined;
  second: JsonKind | undefined;

  /** Reads up to `end`, without a view of the part: those are dear. */
  constructor(bytes: Buffer, end = bytes.length) {
    this.#bytes = bytes;
    this.#end = end;
  }

  /** Reads the object at `at` and lists its members; leaves `at` just after its closing brace. */
  members(depth: number): JsonMember[] {
    const list: JsonMember[] = [];
    if (this.space() !== OPEN_OBJECT) this.#refuse("an object");
    this.at++;
    if (this.space() === CLOSE_OBJECT) {
      this.at++;
      return list;
    }
    for (;;) {
      const keyStart = this.at;
      if (this.#bytes[keyStart] !== QUOTE) this.#refuse("a key");
      this.#string();
      const keyEnd = this.at;
      if (this.space() !== COLON) this.#refuse("a colon");
      this.at++;
      this.space();
      const start = this.at;
      this.length = 0;
      this.first = undefined;
      this.second = undefined;
      const kind = this.value(depth + 1);
      const end = this.at;
      const byte = this.space();
      this.at++;
      const { length, first, second } = this;
      const isList = kind === "array";
      list.push({
        key: this.#text(keyStart, keyEnd),
        kind,
        keyStart,
        start,
        end,
        next: byte === COMMA ? this.at : -1,
        length: isList ? length : 0,
        first: isList ? first : undefined,
        second: isList ? second : undefined,
      });
      if (byte === CLOSE_OBJECT) return list;
      if (byte !== COMMA) this.#refuse("a comma or a closing brace", this.at - 1);
      this.space();
    }
  }

  /** Skips blanks; gives the byte there, -1 at the end. */
  space(): number {
    const bytes = this.#bytes;
    let at = this.at;
    while (at < this.#end) {
      const byte = bytes[at]!;
      if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) break;
      at++;
    }
    this.at = at;
    return at < this.#end ? bytes[at]! : -1;
  }

  /** Skips the value at `at`. */
  value(depth: number): JsonKind {
    if (depth > MAX_DEPTH) this.#refuse(`at most ${MAX_DEPTH} levels`);
    const byte = this.at < this.#end ? this.#bytes[this.at]! : -1;
    switch (byte) {
      case QUOTE:
        this.#string();
        return "string";
      case OPEN_OBJECT:
        this.#object(depth);
        return "object";
      case OPEN_LIST:
        this.#list(depth);
        return "array";
      case 116:
        return this.#word("true");
      case 102:
        return this.#word("false");
      case 110:
        return this.#word("null");
      default:
        this.#number();
        return "number";
    }
  }

  #object(depth: number): void {
    this.at++;
    if (this.space() === CLOSE_OBJECT) {
      this.at++;
      return;
    }
    for (;;) {
      if (this.#bytes[this.at] !== QUOTE || this.at >= this.#end) this.#refuse("a key");
      this.#string();
      if (this.space() !== COLON) this.#refuse("a colon");
      this.at++;
      this.space();
      this.value(depth + 1);
      const byte = this.space();
      this.at++;
      if (byte === CLOSE_OBJECT) return;
      if (byte !== COMMA) this.#refuse("a comma or a closing brace", this.at - 1);
      this.space();
    }
  }

  #list(depth: number): void {
    this.at++;
    let length = 0;
    let first: JsonKind | undefined;
    let second: JsonKind | undefined;
    if (this.space() === CLOSE_LIST) this.at++;
    else {
      for (;;) {
        const kind = this.value(depth + 1);
        if (length === 0) {
          first = kind;
          second = kind === "array" ? this.first : undefined;
        }
        length++;
        if (kind === "number") {
          this.at = skipNumbers(this.#bytes, this.at);
          length += skipped;
        }
        const byte = this.space();
        this.at++;
        if (byte === CLOSE_LIST) break;
        if (byte !== COMMA) this.#refuse("a comma or a closing bracket", this.at - 1);
        this.space();
      }
    }
    this.length = length;
    this.first = first;
    this.second = second;
  }

  #string(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.at + 1;
    for (;;) {
      at = stringStop(bytes, at, Math.min(end, at + CLOSE_LOOK));
      if (at >= end) this.#refuse("the end of a string", end);
      const byte = bytes[at]!;
      if (byte === QUOTE && !cut) break;
      if (!cut) this.#refuse(byte === BACKSLASH ? "an escape" : "no control character", at);
      if (this.#nextQuote < at) this.#nextQuote = this.#find(QUOTE, at);
      if (this.#nextBackslash < at) this.#nextBackslash = this.#find(BACKSLASH, at);
      at = Math.min(this.#nextQuote, this.#nextBackslash);
    }
    this.at = at + 1;
  }

  #find(byte: number, from: number): number {
    const at = this.#bytes.indexOf(byte, from);
    return at < 0 || at > this.#end ? this.#end : at;
  }

  #number(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.at;
    const digits = (from: number): number => {
      let i = from;
      while (i < end && bytes[i]! >= 48 && bytes[i]! <= 57) i++;
      if (i === from) this.#refuse("a value", from);
      return i;
    };
    if (bytes[at] === 45 && at < end) at++;
    if (bytes[at] === 48 && at < end) at++;
    else at = digits(at);
    if (at < end && bytes[at] === 46) at = digits(at + 1);
    if (at < end && (bytes[at]! | 32) === 101) {
      at++;
      if (at < end && (bytes[at] === 43 || bytes[at] === 45)) at++;
      at = digits(at);
    }
    this.at = at;
  }

  #word<W extends "true" | "false" | "null">(word: W): W {
    for (let i = 1; i < word.length; i++) {
      if (this.at + i >= this.#end || this.#bytes[this.at + i] !== word.charCodeAt(i)) this.#refuse("a value");
    }
    this.at += word.length;
    return word;
  }

  /** The key between two quotes, its escapes undone: `bootstrap_\u0072oom` is `bootstrap_room` to an engine. */
  #text(start: number, end: number): string {
    const common = commonKey(this.#bytes, start + 1, end - 1);
    if (common !== undefined) return common;
    const text = this.#bytes.toString("utf8", start + 1, end - 1);
    return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
  }

  #refuse(expected: string, at = this.at): never {
    throw new JsonSyntaxError(expected, at);
  }
}

/** The members of the one object that the bytes [start, end) must be, and the offset of its closing brace. */
export function scanBody(bytes: Buffer, start = 0, end = bytes.length): { members: JsonMember[]; close: number } {
  const scanner = new JsonScanner(bytes, end);
  scanner.at = start;
  const members = scanner.members(0);
  const close = scanner.at - 1;
  if (scanner.space() !== -1) throw new JsonSyntaxError("the end of the body", scanner.at);
  return { members, close };
}

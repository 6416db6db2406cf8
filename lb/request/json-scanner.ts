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
const AFTER_ESCAPE = 256;

const QUOTE = 34;
const COMMA = 44;
const COLON = 58;
const BACKSLASH = 92;
const OPEN_LIST = 91;
const CLOSE_LIST = 93;
const OPEN_OBJECT = 123;
const CLOSE_OBJECT = 125;

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
        if (kind === "number") length += this.#numbers();
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

  /** After a number in a list: as many `,digits` as follow, the bulk of a list of token ids. Gives how many. */
  #numbers(): number {
    const bytes = this.#bytes;
    let at = this.at;
    let count = 0;
    // The `| 0`s and unsigned comparisons halve the time: all stays in 32 bits, and a read past the end gives 0.
    while ((bytes[at]! | 0) === COMMA) {
      let look = (at + 1) | 0;
      let byte = bytes[look]! | 0;
      if (byte === 32) byte = bytes[++look]! | 0;
      if ((byte - 49) >>> 0 > 8) break;
      do byte = bytes[++look]! | 0;
      while ((byte - 48) >>> 0 <= 9);
      // A point or an exponent: the general path reads this one again.
      if (byte === 46 || (byte | 32) === 101) break;
      at = look;
      count = (count + 1) | 0;
    }
    this.at = at;
    return count;
  }

  #string(): void {
    const bytes = this.#bytes;
    const end = this.#end;
    let at = this.at + 1;
    let close = Math.min(end, at + CLOSE_LOOK);
    for (;;) {
      for (; at < close; at++) {
        const byte = bytes[at]!;
        if (byte === QUOTE) {
          this.at = at + 1;
          return;
        }
        if (byte === BACKSLASH) {
          at = this.#escape(at);
          close = Math.min(end, Math.max(close, at + AFTER_ESCAPE));
        } else if (byte < 32) this.#refuse("no control character", at);
      }
      if (at >= end) this.#refuse("the end of a string", at);
      if (this.#nextQuote < at) this.#nextQuote = this.#find(QUOTE, at);
      if (this.#nextBackslash < at) this.#nextBackslash = this.#find(BACKSLASH, at);
      at = Math.min(this.#nextQuote, this.#nextBackslash);
      close = Math.min(end, at + 1);
    }
  }

  #find(byte: number, from: number): number {
    const at = this.#bytes.indexOf(byte, from);
    return at < 0 || at > this.#end ? this.#end : at;
  }

  /** Checks the escape whose backslash is at `at`; gives the offset of its last byte. */
  #escape(at: number): number {
    const byte = at + 1 < this.#end ? this.#bytes[at + 1]! : 0;
    switch (byte) {
      case QUOTE:
      case BACKSLASH:
      case 47:
      case 98:
      case 102:
      case 110:
      case 114:
      case 116:
        return at + 1;
      case 117:
        for (let i = at + 2; i < at + 6; i++) {
          const digit = i < this.#end ? this.#bytes[i]! : 0;
          const lower = digit | 32;
          if ((digit < 48 || digit > 57) && (lower < 97 || lower > 102)) this.#refuse("four hex digits", i);
        }
        return at + 5;
      default:
        return this.#refuse("an escape", at);
    }
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
    const text = this.#bytes.toString("utf8", start + 1, end - 1);
    return text.includes("\\") ? (JSON.parse(`"${text}"`) as string) : text;
  }

  #refuse(expected: string, at = this.at): never {
    throw new JsonSyntaxError(expected, at);
  }
}

/** The members of the one object that a whole body must be, and the offset of its closing brace. */
export function scanBody(bytes: Buffer): { members: JsonMember[]; close: number } {
  const scanner = new JsonScanner(bytes);
  const members = scanner.members(0);
  const close = scanner.at - 1;
  if (scanner.space() !== -1) throw new JsonSyntaxError("the end of the body", scanner.at);
  return { members, close };
}

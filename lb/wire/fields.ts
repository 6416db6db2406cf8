import { ProtocolError } from "./protocol-error.ts";

/** The header fields of a message (RFC 9112 section 5), and what they say about its body and its connection. */
export interface FieldSection {
  /** name, value, name, value … in the order in which they came, names in lower case. */
  readonly fields: readonly string[];
  /** `content-length`; -1: there is none. */
  readonly length: number;
  readonly chunked: boolean;
  /** False when the peer will close the connection after this message. */
  readonly keepAlive: boolean;
}

export const MAX_HEAD_BYTES = 64 * 1024;
export const MAX_FIELDS = 256;

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** No control character but the tab: a lone CR or LF is how messages are split. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const AROUND = /^[\t ]+|[\t ]+$/g;
const DIGITS = /^[0-9]{1,15}$/;

/** 431 of RFC 6585. */
const TOO_LARGE = 431;

/**
 * Parses the lines after the first one, which ends at `lineEnd` (-1: there are no others), of an HTTP/1.`minor` message.
 * Refuses what a lenient parser would guess at: folded lines, blanks before the colon, lone CR or LF, two different
 * lengths, a length beside a transfer coding, codings other than `chunked`.
 */
export function parseFields(text: string, lineEnd: number, minor: 0 | 1): FieldSection {
  const fields: string[] = [];
  let end = lineEnd;
  let length = -1;
  let coding: string | undefined;
  let keepAlive = minor === 1;
  while (end >= 0) {
    const start = end + 2;
    end = text.indexOf("\r\n", start);
    const stop = end < 0 ? text.length : end;
    const colon = text.indexOf(":", start);
    if (colon < 0 || colon >= stop)
      throw new ProtocolError("a header field", JSON.stringify(text.slice(start, start + 80)));
    const raw = text.slice(start, colon);
    if (!FIELD_NAME.test(raw)) throw new ProtocolError("a field name", JSON.stringify(raw.slice(0, 80)));
    const name = raw.toLowerCase();
    // Not `trim`: it takes away more than blanks and tabs, and `\vchunked` is not chunked to others.
    const value = text.slice(colon + 1, stop).replace(AROUND, "");
    if (!FIELD_VALUE.test(value))
      throw new ProtocolError(`a printable ${name}`, "a control character or a lone CR or LF");
    fields.push(name, value);
    if (name === "content-length") length = lengthOf(value, length);
    else if (name === "transfer-encoding") coding = coding === undefined ? value : `${coding}, ${value}`;
    else if (name === "connection") keepAlive = persists(value.toLowerCase(), keepAlive);
  }
  if (fields.length > 2 * MAX_FIELDS) {
    throw new ProtocolError(`at most ${MAX_FIELDS} fields`, String(fields.length / 2), TOO_LARGE);
  }
  if (coding !== undefined) {
    if (length >= 0) throw new ProtocolError("one framing", "content-length beside transfer-encoding");
    if (minor === 0) throw new ProtocolError("no transfer-encoding in HTTP/1.0", coding);
    if (coding.toLowerCase() !== "chunked") {
      throw new ProtocolError("transfer-encoding chunked", coding.slice(0, 80));
    }
  }
  return { fields, length, chunked: coding !== undefined, keepAlive };
}

/** Offset of the empty line that ends a head which begins at `start`; -1: more is to come. */
export function headEnd(bytes: Buffer, start: number): number {
  const end = bytes.indexOf("\r\n\r\n", start, "latin1");
  if ((end < 0 ? bytes.length : end) - start > MAX_HEAD_BYTES) {
    throw new ProtocolError(`a head of at most ${MAX_HEAD_BYTES} bytes`, "a larger one", TOO_LARGE);
  }
  return end;
}

function lengthOf(value: string, before: number): number {
  if (!DIGITS.test(value)) throw new ProtocolError("a content-length of digits", JSON.stringify(value.slice(0, 80)));
  const length = Number(value);
  if (before >= 0 && before !== length) throw new ProtocolError("one content-length", `${before} and ${length}`);
  return length;
}

function persists(value: string, before: boolean): boolean {
  if (value === "keep-alive") return true;
  if (value === "close") return false;
  const tokens = value.split(",").map((token) => token.trim());
  if (tokens.includes("close")) return false;
  return tokens.includes("keep-alive") || before;
}

import { ProtocolError } from "./protocol-error.ts";

/** A status line and its header fields (RFC 9112 section 4 and 5), names in lower case. */
export interface ResponseHead {
  readonly status: number;
  /** name, value, name, value … in the order in which they came. */
  readonly fields: readonly string[];
  /** How the end of the body is found. */
  readonly framing: "length" | "chunked" | "close" | "none";
  /** Bytes of body for framing "length", else 0. */
  readonly length: number;
  /** False when the peer will close the connection after this response. */
  readonly keepAlive: boolean;
}

export const MAX_HEAD_BYTES = 64 * 1024;
export const MAX_FIELDS = 256;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** No control character but the tab: a lone CR or LF is how responses are split. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const DIGITS = /^[0-9]{1,15}$/;

/** Value of a field, or undefined. */
export function fieldOf(head: ResponseHead, name: string): string | undefined {
  const { fields } = head;
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

/** True for `GET`-like answers that carry no body whatever their fields say (RFC 9112 section 6.3). */
function bodiless(status: number, method: string): boolean {
  return method === "HEAD" || status < 200 || status === 204 || status === 304;
}

/**
 * Parses the text before the empty line. Refuses what a lenient parser would guess at: folded lines, blanks before the
 * colon, lone CR or LF, two different lengths, a length beside a transfer coding, codings other than `chunked`.
 */
export function parseHead(text: string, method: string): ResponseHead {
  let end = text.indexOf("\r\n");
  const line = end < 0 ? text : text.slice(0, end);
  const match = STATUS_LINE.exec(line);
  if (match === null) throw new ProtocolError("a status line", JSON.stringify(line.slice(0, 80)));
  const status = Number(match[2]);
  const fields: string[] = [];
  let length = -1;
  let coding: string | undefined;
  let keepAlive = match[1] === "1";
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
    const value = text.slice(colon + 1, stop).trim();
    if (!FIELD_VALUE.test(value))
      throw new ProtocolError(`a printable ${name}`, "a control character or a lone CR or LF");
    fields.push(name, value);
    if (name === "content-length") length = lengthOf(value, length);
    else if (name === "transfer-encoding") coding = coding === undefined ? value : `${coding}, ${value}`;
    else if (name === "connection") keepAlive = persists(value.toLowerCase(), keepAlive);
  }
  if (fields.length > 2 * MAX_FIELDS)
    throw new ProtocolError(`at most ${MAX_FIELDS} fields`, String(fields.length / 2));
  if (coding !== undefined) {
    if (coding.toLowerCase() !== "chunked") throw new ProtocolError("transfer-encoding chunked", coding.slice(0, 80));
    if (length >= 0) throw new ProtocolError("one framing", "content-length beside transfer-encoding");
    if (match[1] === "0") throw new ProtocolError("no transfer-encoding in HTTP/1.0", coding);
  }
  if (bodiless(status, method)) return { status, fields, framing: "none", length: 0, keepAlive };
  if (coding !== undefined) return { status, fields, framing: "chunked", length: 0, keepAlive };
  if (length >= 0) return { status, fields, framing: "length", length, keepAlive };
  return { status, fields, framing: "close", length: 0, keepAlive: false };
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

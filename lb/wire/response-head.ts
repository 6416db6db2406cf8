import { parseFields } from "./fields.ts";
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

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?$/;

/** Value of a field, or undefined. */
export function fieldOf({ fields }: { readonly fields: readonly string[] }, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

/** True for `GET`-like answers that carry no body whatever their fields say (RFC 9112 section 6.3). */
function bodiless(status: number, method: string): boolean {
  return method === "HEAD" || status < 200 || status === 204 || status === 304;
}

/** Parses the text before the empty line of a response to a request with this method. */
export function parseHead(text: string, method: string): ResponseHead {
  const end = text.indexOf("\r\n");
  const line = end < 0 ? text : text.slice(0, end);
  const match = STATUS_LINE.exec(line);
  if (match === null) throw new ProtocolError("a status line", JSON.stringify(line.slice(0, 80)));
  const status = Number(match[2]);
  const { fields, length, chunked, keepAlive } = parseFields(text, end, match[1] === "1" ? 1 : 0);
  if (bodiless(status, method)) return { status, fields, framing: "none", length: 0, keepAlive };
  if (chunked) return { status, fields, framing: "chunked", length: 0, keepAlive };
  if (length >= 0) return { status, fields, framing: "length", length, keepAlive };
  return { status, fields, framing: "close", length: 0, keepAlive: false };
}

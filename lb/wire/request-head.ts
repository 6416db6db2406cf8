import { parseFields } from "./fields.ts";
import { ProtocolError } from "./protocol-error.ts";

const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21\x22\x24-\x7e]+) HTTP\/1\.([01])$/;
const OTHER_VERSION = / HTTP\/(?!1\.[01]$)[0-9.]+$/;
const ABSOLUTE = /^https?:\/\/[^/?]*/i;
const HOST = /^[A-Za-z0-9\-._~%!$&'()*+,;=:[\]]*$/;

/** A request line and its header fields (RFC 9112 section 3 and 5). */
export class RequestHead {
  readonly method: string;
  /** As sent, without scheme and host where it came with them. */
  readonly path: string;
  /** The query with its question mark, or empty. */
  readonly search: string;
  readonly minor: 0 | 1;
  /** name, value, name, value … in the order in which they came, names in lower case. */
  readonly fields: readonly string[];
  readonly chunked: boolean;
  /** Bytes of body where it is not chunked. */
  readonly length: number;
  readonly keepAlive: boolean;
  /** The client waits to be told before it sends the body. */
  readonly expectsContinue: boolean;

  constructor(text: string) {
    const end = text.indexOf("\r\n");
    const line = end < 0 ? text : text.slice(0, end);
    const match = REQUEST_LINE.exec(line);
    if (match === null) {
      const shown = JSON.stringify(line.slice(0, 80));
      if (OTHER_VERSION.test(line)) throw new ProtocolError("HTTP/1.1", shown, 505);
      throw new ProtocolError("a request line", shown);
    }
    this.method = match[1]!;
    const target = originForm(this.method, match[2]!);
    const query = target.indexOf("?");
    this.path = query < 0 ? target : target.slice(0, query);
    this.search = query < 0 ? "" : target.slice(query);
    this.minor = match[3] === "1" ? 1 : 0;
    const { fields, length, chunked, keepAlive } = parseFields(text, end, this.minor);
    this.fields = fields;
    this.chunked = chunked;
    this.length = Math.max(0, length);
    this.keepAlive = keepAlive;
    this.#checkHost();
    this.expectsContinue = this.#expects();
  }

  /** Value of a field, those of a repeated one joined; null where there is none. */
  get(name: string): string | null {
    const { fields } = this;
    let value: string | null = null;
    for (let i = 0; i < fields.length; i += 2) {
      if (fields[i] === name) value = value === null ? fields[i + 1]! : `${value}, ${fields[i + 1]}`;
    }
    return value;
  }

  #checkHost(): void {
    let hosts = 0;
    for (let i = 0; i < this.fields.length; i += 2) if (this.fields[i] === "host") hosts++;
    if (hosts > 1 || (hosts === 0 && this.minor === 1)) throw new ProtocolError("one host field", String(hosts));
    const host = this.get("host") ?? "";
    if (!HOST.test(host)) throw new ProtocolError("a host", JSON.stringify(host.slice(0, 80)));
  }

  #expects(): boolean {
    const expected = this.get("expect");
    if (expected === null || this.minor === 0) return false;
    if (expected.toLowerCase() !== "100-continue") throw new ProtocolError("expect: 100-continue", expected, 417);
    return this.chunked || this.length > 0;
  }
}

/** The path and query of a request's target, which proxies send with scheme and host. */
function originForm(method: string, target: string): string {
  if (target.startsWith("/") || (target === "*" && method === "OPTIONS")) return target;
  const absolute = ABSOLUTE.exec(target);
  if (absolute === null) throw new ProtocolError("a path", JSON.stringify(target.slice(0, 80)));
  const rest = target.slice(absolute[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

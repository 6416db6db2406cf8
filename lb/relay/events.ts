/**
 * Server-sent events as bytes. An event ends with an empty line; SGLang sends `data: …\n\n`, and `\r\n\r\n` is understood.
 */
const LF = 10;

/** Offset just after the first whole event, or -1. */
export function firstEventEnd(bytes: Buffer, from = 0): number {
  const lf = bytes.indexOf("\n\n", from, "latin1");
  const crlf = bytes.indexOf("\r\n\r\n", from, "latin1");
  if (crlf >= 0 && (lf < 0 || crlf < lf)) return crlf + 4;
  return lf < 0 ? -1 : lf + 2;
}

/** Offset just after the last whole event, or 0. */
export function lastEventEnd(bytes: Buffer): number {
  const end = bytes.length;
  if (end >= 2 && bytes[end - 1] === LF && (bytes[end - 2] === LF || (end >= 4 && bytes[end - 3] === LF))) return end;
  const lf = bytes.lastIndexOf("\n\n");
  const crlf = bytes.lastIndexOf("\r\n\r\n");
  return Math.max(lf < 0 ? 0 : lf + 2, crlf < 0 ? 0 : crlf + 4);
}

/** The text after `data:` of one event, lines joined. */
export function eventData(event: string): string {
  const lines: string[] = [];
  for (const line of event.split(/\r?\n/)) {
    if (line.startsWith("data:")) lines.push(line.slice(line.startsWith("data: ") ? 6 : 5));
  }
  return lines.join("\n");
}

/** Splits whole events into their data texts. */
export function* eventsIn(text: string): Generator<string> {
  for (const event of text.split(/\r?\n\r?\n/)) {
    const data = eventData(event);
    if (data !== "") yield data;
  }
}

export const DONE_EVENT = "data: [DONE]\n\n";

interface Verdict {
  readonly status: number;
  readonly message: string;
}

/**
 * A stream's 200 proves nothing: an engine that refuses says so in the first event. Gives the true status where the
 * event is an abort with one (`/generate`) or an error (OpenAI's paths); undefined for an ordinary event.
 */
export function refusalIn(event: Buffer): Verdict | undefined {
  if (!event.includes('"abort"') && !event.includes('"error"')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(eventData(event.toString()));
  } catch {
    return undefined;
  }
  const root = record(value);
  const reason = record(record(root?.["meta_info"])?.["finish_reason"]);
  if (reason?.["type"] === "abort" && typeof reason["status_code"] === "number") {
    return { status: statusOf(reason["status_code"]), message: String(reason["message"] ?? "aborted") };
  }
  const error = record(root?.["error"]) ?? (root?.["object"] === "error" ? root : undefined);
  if (error === undefined) return undefined;
  return { status: statusOf(error["code"]), message: String(error["message"] ?? "error") };
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
}

function statusOf(code: unknown): number {
  const status = Number(code);
  return Number.isInteger(status) && status >= 400 && status <= 599 ? status : 500;
}

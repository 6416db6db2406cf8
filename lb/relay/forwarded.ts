/** A client's header fields, by name in lower case. */
export interface RequestHeaders {
  get(name: string): string | null;
}

/** Client headers that workers are shown besides the request id and the key; everything else stays here. */
const TRACE = ["tracestate", "baggage"] as const;

/** Header lines for both legs; `authorization` is the client's key, null where workers get their own. */
export function forwardedFields(headers: RequestHeaders, requestId: string, authorization: string | null): string {
  let lines = `x-request-id: ${requestId}\r\n`;
  if (authorization !== null) lines += `authorization: ${authorization}\r\n`;
  const parent = headers.get("traceparent");
  // The others mean nothing without it, and every look at a header is paid for by every request.
  if (parent === null) return lines;
  lines += `traceparent: ${parent}\r\n`;
  for (const name of TRACE) {
    const value = headers.get(name);
    if (value !== null) lines += `${name}: ${value}\r\n`;
  }
  return lines;
}

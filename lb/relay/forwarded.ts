/** Client headers that workers are shown besides the request id; everything else stays here. */
const TRACE = ["tracestate", "baggage"] as const;

/** Header lines for both legs, without the key. */
export function forwardedFields(headers: Headers, requestId: string): string {
  let lines = `x-request-id: ${requestId}\r\n`;
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

/** The key line of one leg: the client's own, else the worker's. */
export function keyField(authorization: string | null, workerKey: string | undefined): string {
  if (authorization !== null) return `authorization: ${authorization}\r\n`;
  return workerKey === undefined ? "" : `authorization: Bearer ${workerKey}\r\n`;
}

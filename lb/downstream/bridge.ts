import type { Answer } from "../relay/index.ts";
import type { Connection, ReceivedRequest } from "./connection.ts";

export type FetchHandler = (request: Request) => Response | Promise<Response>;

/** Has a handler of the Fetch API answer a request that came to a connection of ours. */
export async function bridge(handler: FetchHandler, connection: Connection, received: ReceivedRequest): Promise<void> {
  const left = new AbortController();
  const request = requestOf(received, left.signal);
  if (request === undefined) return connection.refuse(400, "bad_request", "bad HTTP: no such host or method");
  connection.waits({ gone: () => left.abort() });
  const response = await handler(request);
  const { status, body } = response;
  const fields = [...response.headers].flat();
  if (body === null || request.method === "HEAD" || !isEventStream(response)) {
    return connection.answer({ status, fields, body: Buffer.from(await response.arrayBuffer()) });
  }
  await pass(body, connection, { status, fields });
}

const isEventStream = ({ headers }: Response): boolean =>
  headers.get("content-type")?.startsWith("text/event-stream") === true;

/** Undefined where the Fetch API has no such request. */
function requestOf({ head, bytes, start, end }: ReceivedRequest, signal: AbortSignal): Request | undefined {
  const { method, path, search, fields } = head;
  const host = head.get("host");
  try {
    const headers = new Headers();
    for (let i = 0; i < fields.length; i += 2) headers.append(fields[i]!, fields[i + 1]!);
    const body = end === start || method === "GET" || method === "HEAD" ? null : bytes.subarray(start, end);
    return new Request(`http://${host === null || host === "" ? "localhost" : host}${path}${search}`, {
      method,
      headers,
      body,
      signal,
    });
  } catch {
    return undefined;
  }
}

/** Passes a stream on as fast as the client reads. */
async function pass(
  body: ReadableStream<Uint8Array>,
  connection: Connection,
  head: Omit<Answer, "body">,
): Promise<void> {
  const reader = body.getReader();
  let ready = Promise.withResolvers<void>();
  connection.begin(head, "", {
    ready: () => ready.resolve(),
    gone: () => {
      ready.resolve();
      void reader.cancel();
    },
  });
  connection.flush();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    ready = Promise.withResolvers<void>();
    // A stream of texts gives texts, whatever its type says.
    if (!connection.push(Buffer.from(value))) await ready.promise;
  }
  connection.close();
}

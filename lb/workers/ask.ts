import type { Worker } from "./worker.ts";

/** What one worker said to a question put to many. */
export interface Reply {
  readonly worker: Worker;
  /** 502 where it could not be reached, 504 where it did not answer in time. */
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface Question {
  readonly method: "GET" | "POST";
  /** With its query. */
  readonly path: string;
  readonly body?: string;
  /** The client's key; without it the worker's own is sent. */
  readonly authorization?: string | undefined;
  /** ms */
  readonly timeout: number;
}

/** Puts a question to one worker; a failure is a reply too. */
export async function ask(worker: Worker, question: Question): Promise<Reply> {
  const { method, path, body, timeout } = question;
  const authorization = question.authorization ?? (worker.apiKey === undefined ? undefined : `Bearer ${worker.apiKey}`);
  try {
    const response = await fetch(worker.address(path), {
      method,
      headers: {
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body }),
      signal: AbortSignal.timeout(timeout),
      // Seldom asked: by the next time the engine may have closed the connection.
      keepalive: false,
      ...worker.tlsForFetch,
    });
    const contentType = response.headers.get("content-type") ?? "text/plain";
    return { worker, status: response.status, contentType, body: await response.text() };
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    const message = error instanceof Error ? error.message : String(error);
    return { worker, status: timedOut ? 504 : 502, contentType: "text/plain", body: message };
  }
}

/** Puts it to all of them at the same time. */
export function askAll(workers: readonly Worker[], question: Question): Promise<Reply[]> {
  return Promise.all(workers.map((worker) => ask(worker, question)));
}

/** A reply's JSON, undefined if it is none or the status is not 2xx. */
export function jsonOf(reply: Reply): Record<string, unknown> | undefined {
  if (reply.status < 200 || reply.status > 299) return undefined;
  try {
    const value: unknown = JSON.parse(reply.body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

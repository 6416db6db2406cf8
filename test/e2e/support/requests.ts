import { type Answer, readAnswer, readEvents, answerSchema } from "../../engine/serving.ts";
import type { EngineProcess } from "./engine-process.ts";

export type Body = Readonly<Record<string, unknown>>;

let nextRoom = Math.floor(Math.random() * 2 ** 52) + 1;

/** A room that nobody has used. */
export function newRoom(): number {
  return nextRoom++;
}

/** `POST /generate` by a connection of its own, which ends with the request. */
export function post(url: string, body: Body, init?: RequestInit): Promise<Response> {
  return fetch(`${url}/generate`, { method: "POST", body: JSON.stringify(body), keepalive: false, ...init });
}

/** What a load balancer adds to a body. */
export function meeting(prefill: EngineProcess, room = newRoom()): Body {
  return { bootstrap_host: "127.0.0.1", bootstrap_port: prefill.bootstrapPort, bootstrap_room: room };
}

export interface Both {
  readonly prefill: Promise<Response>;
  readonly decode: Promise<Response>;
}

/** Gives the request to both halves, as a load balancer does. */
export function postBoth(prefill: EngineProcess, decode: EngineProcess, body: Body, init?: RequestInit): Both {
  const whole = { ...body, ...meeting(prefill) };
  const both = { prefill: post(prefill.url, whole, init), decode: post(decode.url, whole, init) };
  // Whichever a test does not look at may fail unseen.
  both.prefill.catch(() => undefined);
  both.decode.catch(() => undefined);
  return both;
}

/** The last answer of a request, streamed or not. */
export async function lastAnswer(response: Response, streamed: boolean): Promise<Answer> {
  if (!streamed) return readAnswer(response);
  if (response.status !== 200) throw new Error(`status ${response.status}: ${await response.text()}`);
  return answerSchema.parse((await readEvents(response)).at(-1));
}

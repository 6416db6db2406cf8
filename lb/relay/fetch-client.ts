import { tick } from "../clock.ts";
import type { Endpoint } from "../request/index.ts";
import type { Client, Exchange } from "./exchange.ts";
import type { RequestHeaders } from "./forwarded.ts";
import type { Outcome } from "./plan.ts";
import type { Relay } from "./relay.ts";
import { answerOf, ownFields, passedFields } from "./response.ts";

/** ms after which a waiting request's client is watched; a shorter one is over before it could matter. */
const WATCH_AFTER = 20;

/** A request of the Fetch API whose response is a promise. */
class FetchClient implements Client {
  readonly headers: RequestHeaders;
  readonly response = Promise.withResolvers<Response>();
  readonly #request: Request;
  answered = false;
  #watched = false;

  constructor(request: Request) {
    this.#request = request;
    this.headers = request.headers;
  }

  respond(outcome: Outcome, exchange: Exchange): void {
    this.answered = true;
    this.response.resolve(responseOf(outcome, exchange));
  }

  /** Has the exchange told when the client leaves. */
  watch(exchange: Exchange): void {
    if (this.#watched) return;
    this.#watched = true;
    const { signal } = this.#request;
    const leave = (): void => {
      tick();
      exchange.gone();
    };
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
  }
}

/** Those who came through the Fetch API: the clients of a mounted app. */
export class FetchClients {
  readonly #waiting = new Map<FetchClient, Exchange>();

  async handle(relay: Relay, request: Request, endpoint: Endpoint, search: string): Promise<Response> {
    const client = new FetchClient(request);
    const exchange = relay.open(client, endpoint, tick());
    const bytes = await request.bytes();
    tick();
    exchange.start(search, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.byteLength);
    if (!client.answered) {
      this.#waiting.set(client, exchange);
      void client.response.promise.then(() => this.#waiting.delete(client));
    }
    return client.response.promise;
  }

  sweep(time: number): void {
    for (const [client, exchange] of this.#waiting)
      if (time - exchange.arrivedAt >= WATCH_AFTER) client.watch(exchange);
  }
}

function responseOf(outcome: Outcome, exchange: Exchange): Response {
  const answer = answerOf(outcome);
  const headers = passedFields(answer.fields);
  ownFields(headers, exchange);
  const body = outcome.kind === "stream" ? outcome.events.readable() : answer.body;
  return new Response(body, { status: answer.status, headers });
}

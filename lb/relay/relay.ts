import type { Endpoint } from "../request/index.ts";
import { Exchange, type Client, type ExchangeContext } from "./exchange.ts";
import { FetchClients } from "./fetch-client.ts";

/** Gives a client's request to a pair of workers and the client their answer. */
export class Relay {
  readonly #context: ExchangeContext;
  readonly #fetchClients = new FetchClients();

  constructor(context: ExchangeContext) {
    this.#context = context;
  }

  /** Begins an exchange for a client whose request came at `arrivedAt`; it is to be given the body. */
  open(client: Client, endpoint: Endpoint, arrivedAt: number): Exchange {
    return new Exchange(this.#context, client, endpoint, arrivedAt);
  }

  /** Serves a request of the Fetch API; `search` is its query with the question mark, or empty. */
  handle(request: Request, endpoint: Endpoint, search: string): Promise<Response> {
    return this.#fetchClients.handle(this, request, endpoint, search);
  }

  /** Watches clients that wait and enforces deadlines; called a few times a second. */
  sweep(time: number): void {
    this.#fetchClients.sweep(time);
    for (const attempt of this.#context.live) attempt.sweep(time);
    this.#context.admission.sweep(time);
  }
}

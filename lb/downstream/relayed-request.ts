import { answerOf, ownLines, type Client, type Exchange, type Outcome } from "../relay/index.ts";
import type { RequestHead } from "../wire/index.ts";
import type { Connection } from "./connection.ts";

/** A request for a pair of workers that came to a connection of ours. */
export class RelayedRequest implements Client {
  readonly #connection: Connection;
  readonly headers: RequestHead;

  constructor(connection: Connection, headers: RequestHead) {
    this.#connection = connection;
    this.headers = headers;
  }

  respond(outcome: Outcome, exchange: Exchange): void {
    const connection = this.#connection;
    const own = ownLines(exchange);
    if (outcome.kind !== "stream") return connection.answer(answerOf(outcome), own);
    connection.begin(outcome.head, own, outcome.events);
    outcome.events.attach(connection);
    connection.flush();
  }
}

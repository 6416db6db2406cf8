import { SplicedBody } from "../request/index.ts";
import type { ExchangeSink } from "../upstream/index.ts";
import type { Worker } from "../workers/index.ts";

/** ms that an engine has to end an aborted request by itself before its connection is closed. */
export const ABORT_GRACE = 700;

/** The answer to an abort is of no interest; that it was sent is all one can do. */
const IGNORE: ExchangeSink = {
  onHead: () => undefined,
  onBody: () => undefined,
  onEnd: () => undefined,
  onFailure: () => undefined,
};

/** Asks an engine to give up every request whose id begins with `rid`, with the fields and the key of the request itself. */
export function abortOn(worker: Worker, rid: string, fields: string, ownKey: boolean): void {
  const body = SplicedBody.text(JSON.stringify({ rid, abort_all: false }));
  worker.post("/abort_request", { fields, body }, IGNORE, { ownKey });
}

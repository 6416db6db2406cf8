import type { PairErrors } from "../pairs/index.ts";
import type { InboundEnd, TransportData } from "../transport.ts";
import { PROTOCOL_VERSION } from "./endpoint.ts";

/** Takes the place of an end for which there is no queue pair: the offer says why, and prefill takes another transport. */
export class RefusedInbound implements InboundEnd {
  readonly offer: TransportData;
  readonly unfenced = 0;
  readonly #errors: PairErrors;

  constructor(errors: PairErrors, reason: string) {
    this.offer = { version: PROTOCOL_VERSION, unusable: reason };
    this.#errors = errors;
  }

  accept(): never {
    throw this.#errors.protocol("accept", "accepted an offer that said it cannot be used");
  }

  expect(): void {}

  forget(): void {}

  revoke(): boolean {
    return true;
  }

  close(): void {}
}

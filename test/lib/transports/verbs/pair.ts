import type { InboundEnd, OutboundEnd, RegisteredBuffer, Transport } from "../../../../lib/transports/transport.ts";
import { createVerbsTransport } from "../../../../lib/transports/verbs/index.ts";
import { makeContext } from "../support/context.ts";
import { drive, InboundLog, OutboundLog } from "../support/pair.ts";
import { PollReactor } from "../support/poll-reactor.ts";

export interface PairChoices {
  readonly source: readonly RegisteredBuffer[];
  readonly target: readonly RegisteredBuffer[];
  readonly options?: Record<string, unknown>;
  /** Of prefill only. */
  readonly sending?: Record<string, unknown>;
  /** What decode offers, tampered with. */
  readonly tamper?: (offer: { rails: { keys: number[] }[] }) => void;
}

export function openVerbs(
  role: "prefill" | "decode",
  reactor: PollReactor,
  buffers: readonly RegisteredBuffer[],
  options: Record<string, unknown> = {},
): Transport {
  const transport = createVerbsTransport(makeContext({ role, reactor, buffers, options }));
  if ("unusable" in transport) throw new Error(transport.unusable);
  return transport;
}

/** Both ends of a verbs pair in one process, each on a reactor of its own, so that prefill can be stopped. */
export class VerbsPair implements Disposable {
  readonly reactor = new PollReactor();
  readonly prefillReactor = new PollReactor();
  readonly decode: Transport;
  readonly prefill: Transport;
  readonly inboundLog = new InboundLog();
  readonly outboundLog = new OutboundLog();
  readonly inbound: InboundEnd;
  readonly outbound: OutboundEnd;

  stopped = false;

  constructor({ source, target, options, sending, tamper }: PairChoices) {
    this.decode = openVerbs("decode", this.reactor, target, options);
    this.prefill = openVerbs("prefill", this.prefillReactor, source, { ...options, ...sending });
    this.inbound = this.decode.openInbound("prefill peer", this.inboundLog);
    const offer = JSON.parse(JSON.stringify(this.inbound.offer)) as { rails: { keys: number[] }[] };
    tamper?.(offer);
    this.outbound = this.prefill.openOutbound("decode peer", offer, this.outboundLog);
  }

  connect(): this {
    this.until(() => this.outboundLog.isConnected);
    this.inbound.accept(JSON.parse(JSON.stringify(this.outbound.endpoint)));
    this.until(() => this.inboundLog.isConnected);
    this.outbound.confirm();
    return this;
  }

  turn(): void {
    this.reactor.turn(0);
    if (this.stopped) return;
    this.prefillReactor.turn(0);
    this.outbound.step(performance.now() + 1);
  }

  until(condition: () => boolean, timeoutMs = 20_000): void {
    drive(() => this.turn(), condition, timeoutMs);
  }

  [Symbol.dispose](): void {
    this.prefill.close();
    this.decode.close();
  }
}

import type { KVTransferError } from "../../../../lib/errors.ts";
import type {
  InboundEnd,
  InboundEvents,
  OutboundEnd,
  OutboundEvents,
  RoomTag,
  Transport,
  WriteBatch,
} from "../../../../lib/transports/transport.ts";
import { type ContextChoices, openTransport } from "./context.ts";
import { PollReactor } from "./poll-reactor.ts";

/** Everything that an inbound end has reported. */
export class InboundLog implements InboundEvents {
  isConnected = false;
  heardCount = 0;
  readonly arrivals: { tag: RoomTag; totalBytes: number }[] = [];
  readonly fencedTags: RoomTag[] = [];
  error: KVTransferError | undefined;

  connected = (): void => {
    this.isConnected = true;
  };
  heard = (): void => {
    this.heardCount++;
  };
  arrived = (tag: RoomTag, totalBytes: number): void => {
    this.arrivals.push({ tag, totalBytes });
  };
  fenced = (tag: RoomTag): void => {
    this.fencedTags.push(tag);
  };
  lost = (error: KVTransferError): void => {
    if (this.error) throw new Error("lost twice");
    this.error = error;
  };
}

/** Everything that an outbound end has reported. */
export class OutboundLog implements OutboundEvents {
  isConnected = false;
  readonly writtenBatches: WriteBatch[] = [];
  readonly failures: { batch: WriteBatch; error: KVTransferError }[] = [];
  readonly messages: (readonly Uint8Array[])[] = [];
  error: KVTransferError | undefined;

  connected = (): void => {
    this.isConnected = true;
  };
  message = (frames: readonly Uint8Array[]): void => {
    this.messages.push(frames);
  };
  written = (batch: WriteBatch): void => {
    this.writtenBatches.push(batch);
  };
  failed = (batch: WriteBatch, error: KVTransferError): void => {
    if (this.error) throw new Error("a batch failed after the pair was lost");
    this.failures.push({ batch, error });
  };
  lost = (error: KVTransferError): void => {
    if (this.error) throw new Error("lost twice");
    this.error = error;
  };
}

/** Both ends of a pair in one process, on one reactor. */
export class TestPair implements Disposable {
  readonly reactor = new PollReactor();
  readonly prefill: Transport;
  readonly decode: Transport;
  readonly inbound: InboundEnd;
  readonly inboundLog = new InboundLog();
  readonly outbound: OutboundEnd;
  readonly outboundLog = new OutboundLog();

  constructor(name: string, choices: { decode?: Partial<ContextChoices>; prefill?: Partial<ContextChoices> } = {}) {
    this.decode = openTransport(name, { ...choices.decode, role: "decode", reactor: this.reactor });
    this.prefill = openTransport(name, { ...choices.prefill, role: "prefill", reactor: this.reactor });
    this.inbound = this.decode.openInbound("prefill peer", this.inboundLog);
    const offer: unknown = JSON.parse(JSON.stringify(this.inbound.offer));
    this.outbound = this.prefill.openOutbound("decode peer", offer, this.outboundLog);
  }

  /** Handshake, accept, confirm. */
  connect(): this {
    this.until(() => this.outboundLog.isConnected);
    this.inbound.accept(JSON.parse(JSON.stringify(this.outbound.endpoint)));
    this.until(() => this.inboundLog.isConnected);
    this.outbound.confirm();
    return this;
  }

  turn(): void {
    const busy = this.outbound.step(performance.now() + 1);
    this.reactor.turn(busy ? 0 : 1);
  }

  until(condition: () => boolean, timeoutMs = 10_000): void {
    drive(() => this.turn(), condition, timeoutMs);
  }

  [Symbol.dispose](): void {
    this.prefill.close();
    this.decode.close();
  }
}

/** Turns until `condition` holds; an error that says which did not, at the deadline. */
export function drive(turn: () => void, condition: () => boolean, timeoutMs = 10_000): void {
  const deadline = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    turn();
  }
}

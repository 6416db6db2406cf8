import { endpointText, TcpSocket } from "../../../ffi/libc/index.ts";
import type { KVTransferError } from "../../errors.ts";
import { PairErrors, type QueuedBatch, randomToken, RevokedRooms, RoomQueue, unpackFrames } from "../pairs/index.ts";
import type {
  OutboundEnd,
  OutboundEvents,
  Readiness,
  RoomTag,
  TransportContext,
  TransportData,
  Watch,
  WriteBatch,
} from "../transport.ts";
import { AckReader } from "./ack-reader.ts";
import { FrameSender } from "./frame-sender.ts";
import { FrameError, offerSchema, PROTOCOL_VERSION, ReceiverFrame, SenderFrame, welcomeSchema } from "./frames.ts";
import { GreetingReader, packGreeting } from "./greeting.ts";
import { keepAliveOf, type TcpOptions } from "./options.ts";
import { UnackedBatches } from "./unacked-batches.ts";

/** How long one call from the poll loop may write. */
const WRITE_MS = 0.25;
/** A small room waits behind what the kernel holds already: no more than the wire needs to stay busy. */
const UNSENT_BYTES = 256 * 1024;

export interface TcpOutboundOptions {
  readonly peer: string;
  readonly context: TransportContext;
  readonly options: TcpOptions;
  readonly events: OutboundEvents;
  readonly onClose: () => void;
}

/** The sender's end of a TCP pair: frames of one room at a time, rooms in turn, straight from the pages. */
export class TcpOutbound implements OutboundEnd {
  readonly gatherLimit = 1;
  readonly destinationBases = undefined;
  readonly endpoint: TransportData;
  readonly #setup: TcpOutboundOptions;
  readonly #errors: PairErrors;
  readonly #where: string;
  readonly #nonce = randomToken();
  readonly #deadline: number;
  readonly #socket: TcpSocket;
  readonly #watch: Watch;
  readonly #greeting: GreetingReader;
  readonly #acks: AckReader;
  readonly #queue = new RoomQueue();
  readonly #unacked = new UnackedBatches();
  readonly #revoked = new RevokedRooms();
  /** Batches that came for rooms already taken back; reported at the next step. */
  readonly #late: WriteBatch[] = [];
  readonly #sender: FrameSender;
  #token: string;
  #state: "connecting" | "greeting" | "connected" | "over" = "connecting";
  #confirmed = false;
  #blocked = false;

  constructor(offer: unknown, setup: TcpOutboundOptions) {
    const { context, options } = setup;
    this.#setup = setup;
    this.#errors = new PairErrors(setup.peer, "tcp");
    const { host, port, token } = this.#errors.parse(offerSchema, offer, "connect");
    this.#token = token;
    this.#where = endpointText({ host, port });
    this.endpoint = { nonce: this.#nonce };
    this.#deadline = context.now() + context.connectTimeoutMs;
    try {
      this.#socket = TcpSocket.connect(
        { host, port },
        { ...(options.sendBufferBytes && { sendBytes: options.sendBufferBytes }) },
      );
    } catch (error) {
      throw this.#errors.unusable("connect", `${this.#where} cannot be reached: ${String(error)}`, error);
    }
    this.#greeting = new GreetingReader(this.#socket);
    this.#acks = new AckReader(this.#socket);
    this.#sender = new FrameSender(this.#socket);
    this.#watch = context.reactor.watch(this.#socket.fd, { readable: true, writable: true }, (ready) =>
      this.#onReady(ready),
    );
  }

  confirm(): void {
    this.#confirmed = true;
  }

  write(batch: WriteBatch): void {
    if (this.#revoked.has(batch.tag)) this.#late.push(batch);
    else this.#queue.push(batch);
  }

  cancel(tag: RoomTag, error: KVTransferError): void {
    const dropped = [...this.#unacked.drop(tag), ...this.#queue.take(tag)];
    const { sending } = this.#sender;
    if (sending && dropped.includes(sending)) this.#sender.cancelSending(error);
    this.#fail(
      dropped.filter((batch) => batch !== sending),
      error,
    );
  }

  step(until: number): boolean {
    if (this.#late.length > 0) this.#fail(this.#late.splice(0), this.#errors.revoked());
    if (this.#state === "connected") return this.#write(until);
    if (this.#state !== "over" && this.#setup.context.now() > this.#deadline) {
      const message = `no answer from ${this.#where} within ${this.#setup.context.connectTimeoutMs} ms`;
      this.#lose(this.#errors.lost("connect", message, { status: "ETIMEDOUT" }));
    }
    return false;
  }

  keepAlive(): void {
    // Bytes on their way say as much.
    if (this.#state === "connected" && this.#sender.idle) this.#sendControl(SenderFrame.ALIVE, 0);
  }

  close(): void {
    if (this.#state === "over") return;
    this.#release();
  }

  #onReady({ readable, writable, failed }: Readiness): void {
    try {
      if (this.#state === "connecting" && (writable || failed)) this.#greet();
      else if (writable) {
        this.#blocked = false;
        this.#write(this.#setup.context.now() + WRITE_MS);
      }
      if ((readable || failed) && this.#state === "greeting") this.#receiveGreeting();
      if ((readable || failed) && this.#state === "connected") this.#receiveAcks();
    } catch (error) {
      if (error instanceof FrameError) this.#lose(this.#errors.protocol("receive", error.message, { cause: error }));
      else this.#lose(this.#errors.native("receive", error));
    }
  }

  #greet(): void {
    const refused = this.#socket.takeError();
    if (refused) {
      this.#lose(this.#errors.unusable("connect", `${this.#where} cannot be reached: ${refused.message}`, refused));
      return;
    }
    this.#socket.setNoDelay();
    this.#socket.setUnsentLimit(UNSENT_BYTES);
    this.#socket.setKeepAlive(keepAliveOf(this.#setup.options));
    this.#state = "greeting";
    this.#sender.append(packGreeting({ version: PROTOCOL_VERSION, token: this.#token, nonce: this.#nonce }).bytes);
    this.#setBlocked(!this.#sender.flush());
  }

  #receiveGreeting(): void {
    let welcome: { readonly value: unknown } | undefined;
    try {
      welcome = this.#greeting.read();
    } catch (error) {
      throw this.#errors.unusable("connect", `${this.#where} did not take the token: ${String(error)}`, error);
    }
    if (!welcome) return;
    const { nonce } = this.#errors.parse(welcomeSchema, welcome.value, "connect");
    if (nonce !== this.#nonce) throw this.#errors.protocol("connect", "another process answered");
    this.#state = "connected";
    this.#setup.events.connected();
  }

  /** Sends until `until`, or until the socket takes no more. True: there is more to send. */
  #write(until: number): boolean {
    if (this.#blocked) return false;
    const { context } = this.#setup;
    try {
      for (;;) {
        const sent = this.#sender.flush();
        const cancelled = this.#sender.takeCancelled();
        if (cancelled) this.#fail([cancelled.batch], cancelled.error);
        if (!sent) return this.#setBlocked(true);
        const queued = this.#confirmed && this.#state === "connected" ? this.#queue.current : undefined;
        if (!queued) return this.#setBlocked(false);
        if (context.now() >= until) {
          this.#setBlocked(false);
          return true;
        }
        this.#beginFrame(queued);
      }
    } catch (error) {
      this.#lose(this.#errors.native("write", error));
      return false;
    }
  }

  #beginFrame(queued: QueuedBatch): void {
    this.#sender.begin(queued);
    if (queued.done) {
      this.#queue.finishCurrent();
      this.#unacked.push(queued.batch);
    } else this.#queue.next();
  }

  #receiveAcks(): void {
    for (;;) {
      const frame = this.#state === "connected" ? this.#acks.next() : undefined;
      if (frame === undefined) return;
      if (frame === "ended") {
        this.#lose(this.#errors.lost("receive", "the peer has closed the connection"));
        return;
      }
      switch (frame.type) {
        case ReceiverFrame.WRITTEN:
          this.#onWritten();
          break;
        case ReceiverFrame.REVOKE:
          this.#onRevoke(frame.tag);
          break;
        case ReceiverFrame.CARRY:
          this.#onCarried(frame.carried);
          break;
        default:
          throw this.#errors.protocol("receive", `unexpected frame of type ${frame.type}`);
      }
    }
  }

  #onCarried(packed: Uint8Array): void {
    const frames = unpackFrames(packed);
    if (!frames) throw this.#errors.protocol("receive", "a message that is none");
    this.#setup.events.message?.(frames);
  }

  #onWritten(): void {
    if (this.#unacked.size === 0) throw this.#errors.protocol("receive", "an acknowledgement for nothing");
    const batch = this.#unacked.shift();
    if (batch) this.#setup.events.written(batch);
  }

  #onRevoke(tag: RoomTag): void {
    this.#revoked.add(tag);
    this.cancel(tag, this.#errors.revoked());
    if (this.#state === "connected") this.#sendControl(SenderFrame.FENCED, tag);
  }

  #sendControl(type: number, tag: RoomTag): void {
    const underWay = this.#sender.sending !== undefined;
    this.#sender.appendControl(type, tag);
    if (!underWay) this.#write(this.#setup.context.now());
  }

  #fail(batches: readonly WriteBatch[], error: KVTransferError): void {
    // An event may close this end; then nothing more is reported.
    for (const batch of batches) if (this.#state !== "over") this.#setup.events.failed(batch, error);
  }

  #setBlocked(blocked: boolean): false {
    this.#blocked = blocked;
    if (this.#state !== "over") this.#watch.update({ readable: true, writable: blocked });
    return false;
  }

  #lose(error: KVTransferError): void {
    if (this.#state === "over") return;
    const { events } = this.#setup;
    this.#release();
    const cancelled = this.#sender.takeCancelled(true);
    if (cancelled) events.failed(cancelled.batch, cancelled.error);
    for (const batch of [...this.#unacked.dropAll(), ...this.#queue.takeAll(), ...this.#late.splice(0)]) {
      events.failed(batch, error);
    }
    events.lost(error);
  }

  #release(): void {
    this.#state = "over";
    this.#watch.close();
    this.#socket.close();
    this.#setup.onClose();
  }
}

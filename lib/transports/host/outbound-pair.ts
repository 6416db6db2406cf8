import { UnixSocket } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { KVTransferError } from "../../errors.ts";
import { PairErrors, randomToken, type QueuedBatch, RevokedRooms, RoomQueue } from "../pairs/index.ts";
import type {
  OutboundEnd,
  OutboundEvents,
  RoomTag,
  TransportContext,
  TransportData,
  WriteBatch,
} from "../transport.ts";
import { FrameType, PROTOCOL_VERSION, proofSchema, refusalSchema } from "./frames.ts";
import { offerSchema } from "./offer.ts";
import type { PageWriter, PageWriterFactory } from "./page-writer.ts";
import { PairSocket } from "./pair-socket.ts";
import { ReceivedWelcome } from "./welcome.ts";

/** Bytes that one room may write before it is another's turn: a fraction of a millisecond. */
const TURN_BYTES = 1024 * 1024;

const probe = NativeBuffer.allocate(16);

export interface OutboundPairOptions {
  readonly transport: "shm" | "cma";
  readonly peer: string;
  readonly context: TransportContext;
  readonly events: OutboundEvents;
  readonly writers: PageWriterFactory;
  readonly onClose: () => void;
}

/** The sender's end of a same-host pair: it writes into the receiver's memory itself, in turns. */
export class OutboundPair implements OutboundEnd {
  readonly gatherLimit = 1;
  readonly endpoint: TransportData;
  readonly #options: OutboundPairOptions;
  readonly #errors: PairErrors;
  readonly #socket: PairSocket;
  readonly #receiverPid: number;
  readonly #nonce = randomToken();
  readonly #probe = randomToken();
  readonly #deadline: number;
  readonly #queue = new RoomQueue();
  readonly #revoked = new RevokedRooms();
  /** Batches that came for rooms already taken back; reported at the next step. */
  readonly #late: WriteBatch[] = [];
  readonly #welcome = new ReceivedWelcome();
  #writer: PageWriter | undefined;
  #connected = false;
  #confirmed = false;
  #over = false;

  constructor(offer: unknown, options: OutboundPairOptions) {
    this.#options = options;
    const { peer, transport, context } = options;
    this.#errors = new PairErrors(peer, transport);
    const { name, token } = this.#errors.parse(offerSchema, offer, "connect");
    this.endpoint = { nonce: this.#nonce };
    this.#deadline = context.now() + context.connectTimeoutMs;
    let socket: UnixSocket;
    try {
      socket = UnixSocket.connect(name);
    } catch (error) {
      throw this.#errors.unusable(
        "connect",
        "its socket cannot be reached from here, so it is not on this host",
        error,
      );
    }
    const { pid, uid } = socket.peerCredentials;
    this.#receiverPid = pid;
    if (uid !== process.geteuid?.()) {
      socket.close();
      throw this.#errors.unusable("connect", `its process belongs to user ${uid}, this one to ${process.geteuid?.()}`);
    }
    this.#socket = new PairSocket(
      socket,
      context.reactor,
      {
        heard: () => {},
        control: (type, tag) => this.#control(type, tag),
        message: (type, value, descriptors) => this.#message(type, value, descriptors),
        violated: (reason) => this.#lose(this.#errors.protocol("receive", reason)),
        ended: (cause) =>
          this.#lose(this.#errors.lost("receive", "the process has ended or has closed the pair", { cause })),
      },
      { takesDescriptors: true },
    );
    this.#socket.sendMessage(FrameType.HELLO, { version: PROTOCOL_VERSION, transport, token, nonce: this.#nonce });
  }

  get destinationBases(): Float64Array | undefined {
    return this.#writer?.destinationBases;
  }

  confirm(): void {
    this.#confirmed = true;
  }

  write(batch: WriteBatch): void {
    if (this.#revoked.has(batch.tag)) this.#late.push(batch);
    else this.#queue.push(batch);
  }

  cancel(tag: RoomTag, error: KVTransferError): void {
    for (const batch of this.#queue.take(tag)) this.#options.events.failed(batch, error);
  }

  step(until: number): boolean {
    const { context } = this.#options;
    this.#failLate();
    if (!this.#connected) {
      if (context.now() > this.#deadline) {
        this.#lose(
          this.#errors.lost("connect", `no answer within ${context.connectTimeoutMs} ms`, { status: "ETIMEDOUT" }),
        );
      }
      return false;
    }
    // Notifications wait for the peer to read: so does what they are about.
    while (!this.#over && !this.#socket.congested) {
      const batch = this.#confirmed ? this.#queue.current : undefined;
      if (!batch) return this.#writer?.prepare() ?? false;
      this.#takeTurn(batch);
      if (context.now() >= until) return !this.#over && this.#queue.size > 0;
    }
    return false;
  }

  keepAlive(): void {
    if (this.#connected && !this.#socket.congested) this.#socket.send(FrameType.ALIVE);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
  }

  #takeTurn(batch: QueuedBatch): void {
    const writer = this.#writer!;
    try {
      let left = TURN_BYTES;
      while (left > 0 && !batch.done) {
        const moved = batch.advance(left, writer);
        left -= moved;
        // Full, or the turn is over: either way what was added has to go before anyone is told.
        if (left === 0 || moved === 0) writer.flush();
      }
      writer.flush();
    } catch (error) {
      this.#lose(this.#errors.native("write", error));
      return;
    }
    if (!batch.done) {
      this.#queue.next();
      return;
    }
    this.#queue.finishCurrent();
    const { last, tag } = batch.batch;
    if (last) this.#socket.send(FrameType.NOTIFY, tag, last.totalBytes);
    this.#options.events.written(batch.batch);
  }

  #failLate(): void {
    for (const batch of this.#late.splice(0)) this.#options.events.failed(batch, this.#errors.revoked());
  }

  #control(type: number, tag: RoomTag): void {
    if (type !== FrameType.REVOKE) {
      this.#lose(this.#errors.protocol("receive", `unexpected frame of type ${type}`));
      return;
    }
    this.#revoked.add(tag);
    const dropped = this.#queue.take(tag);
    this.#socket.send(FrameType.FENCED, tag);
    for (const batch of dropped) this.#options.events.failed(batch, this.#errors.revoked());
  }

  #message(type: number, value: unknown, descriptors: readonly number[]): void {
    try {
      if (type === FrameType.WELCOME && !this.#writer) this.#receiveWelcome(value, descriptors);
      else if (type === FrameType.PROOF && this.#writer && !this.#connected) this.#receiveProof(value);
      else if (type === FrameType.REFUSED) throw this.#refusal(value);
      else throw this.#errors.protocol("receive", `unexpected message of type ${type}`);
    } catch (error) {
      this.#lose(this.#errors.native("connect", error));
    }
  }

  #receiveWelcome(value: unknown, descriptors: readonly number[]): void {
    this.#welcome.add(value, descriptors, this.#nonce, this.#errors);
    if (!this.#welcome.complete) return;
    const { writers } = this.#options;
    try {
      this.#writer = writers.open(this.#receiverPid, this.#welcome.regions);
      this.#welcome.close();
      probe.bytes.set(Uint8Array.fromHex(this.#probe));
      this.#writer.add(probe.address, this.#writer.scratch, probe.byteLength);
      this.#writer.flush();
    } catch (error) {
      throw this.#errors.unusable("connect", `its memory cannot be written from here: ${String(error)}`, error);
    }
    this.#socket.send(FrameType.PROBE);
  }

  #receiveProof(value: unknown): void {
    const { found } = this.#errors.parse(proofSchema, value, "connect");
    if (found !== this.#probe) {
      throw this.#errors.unusable("connect", "what was written into its memory did not arrive there");
    }
    this.#connected = true;
    this.#options.events.connected();
  }

  #refusal(value: unknown): KVTransferError {
    const { reason, status } = this.#errors.parse(refusalSchema, value, "connect");
    return this.#errors.unusable(
      "connect",
      `refused: ${reason}`,
      status && Object.assign(new Error(reason), { code: status }),
    );
  }

  #lose(error: KVTransferError): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
    const { events } = this.#options;
    for (const batch of [...this.#late.splice(0), ...this.#queue.takeAll()]) events.failed(batch, error);
    events.lost(error);
  }

  /** The socket goes last: its end tells the receiver that nothing is written any more. */
  #release(): void {
    this.#writer?.close();
    this.#welcome.close();
    this.#socket.close();
    this.#options.onClose();
  }
}

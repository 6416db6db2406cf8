import { UnixSocket } from "../../../ffi/libc/index.ts";
import type { KVTransferError } from "../../errors.ts";
import { PairErrors, type QueuedBatch, RevokedRooms, RoomQueue } from "../pairs/index.ts";
import type {
  OutboundEnd,
  OutboundEvents,
  RoomTag,
  TransportContext,
  TransportData,
  WriteBatch,
} from "../transport.ts";
import { type Fence, Flights } from "./flights.ts";
import { FrameType } from "./frames.ts";
import { offerSchema } from "./offer.ts";
import { OutboundHandshake } from "./outbound-handshake.ts";
import type { PageWriter, PageWriterFactory } from "./page-writer.ts";
import { PairSocket } from "./pair-socket.ts";

const MAX_FLYING = 64;
/** Nothing has come or gone for so long: a room is then not held up by preparations, the first one of all included. */
const QUIET_MS = 5;

export interface OutboundPairOptions {
  readonly transport: string;
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
  readonly #deadline: number;
  readonly #queue = new RoomQueue();
  readonly #revoked = new RevokedRooms();
  /** Batches that came for rooms already taken back; reported at the next step. */
  readonly #late: WriteBatch[] = [];
  readonly #flights = new Flights();
  readonly #handshake: OutboundHandshake;
  /** There once the pair is connected. */
  #writer: PageWriter | undefined;
  #confirmed = false;
  #over = false;
  /** When something last came or was written. */
  #activeAt: number;
  #prepared = false;

  constructor(offer: unknown, options: OutboundPairOptions) {
    this.#options = options;
    const { peer, transport, context } = options;
    this.#errors = new PairErrors(peer, transport);
    const { name, token } = this.#errors.parse(offerSchema, offer, "connect");
    this.#activeAt = context.now();
    this.#deadline = this.#activeAt + context.connectTimeoutMs;
    const socket = this.#dial(name);
    this.#handshake = new OutboundHandshake(this.#errors, options.writers, socket.peerCredentials.pid);
    this.endpoint = { nonce: this.#handshake.nonce };
    this.#socket = new PairSocket(
      socket,
      context.reactor,
      {
        heard: () => (this.#activeAt = context.now()),
        control: (type, tag) => this.#control(type, tag),
        message: (type, value, descriptors) => this.#message(type, value, descriptors),
        carried: (frames) => {
          if (this.#writer) this.#options.events.message?.(frames);
          else this.#lose(this.#errors.protocol("receive", "a message came before the pair was connected"));
        },
        violated: (reason) => this.#lose(this.#errors.protocol("receive", reason)),
        ended: (cause) =>
          this.#lose(this.#errors.lost("receive", "the process has ended or has closed the pair", { cause })),
      },
      { takesDescriptors: true },
    );
    this.#handshake.begin(this.#socket, transport, token);
  }

  get how(): string {
    return this.#writer?.how ?? "";
  }

  get destinationBases(): Float64Array | undefined {
    return this.#writer?.destinationBases;
  }

  get repeatsGroups(): boolean {
    return this.#writer?.repeatsGroups ?? false;
  }

  confirm(): void {
    this.#confirmed = true;
  }

  write(batch: WriteBatch): void {
    if (this.#revoked.has(batch.tag)) this.#late.push(batch);
    else this.#queue.push(batch);
  }

  cancel(tag: RoomTag, error: KVTransferError): void {
    this.#stopWriting(tag, error, false);
  }

  step(until: number): boolean {
    const { context } = this.#options;
    if (this.#late.length > 0) this.#fail(this.#late.splice(0), this.#errors.revoked());
    if (!this.#writer) {
      if (context.now() > this.#deadline) {
        this.#lose(
          this.#errors.lost("connect", `no answer within ${context.connectTimeoutMs} ms`, { status: "ETIMEDOUT" }),
        );
      }
      return false;
    }
    this.#land();
    // Notifications wait for the peer to read: so does what they are about.
    while (!this.#over && !this.#socket.congested) {
      const batch = this.#confirmed && this.#writer!.ready ? this.#queue.current : undefined;
      if (!batch) break;
      this.#takeTurn(batch);
      this.#activeAt = context.now();
      // Small batches land together, one call for the bytes of all of them; but they do not wait for a large one's turn.
      if (this.#flights.size >= MAX_FLYING || this.#queue.current?.large) this.#land();
      if (this.#queue.size === 0 || this.#activeAt >= until) break;
    }
    this.#land();
    if (this.#over) return false;
    if (!this.#flights.empty) return true;
    if (this.#socket.congested) return false;
    if (this.#confirmed && this.#queue.size > 0) return true;
    return !this.#prepared && this.#prepare();
  }

  keepAlive(): void {
    if (this.#writer && !this.#socket.congested) this.#socket.send(FrameType.ALIVE);
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
  }

  /** True: there is more of it to do, and now is the time. */
  #prepare(): boolean {
    if (this.#options.context.now() - this.#activeAt <= QUIET_MS) return false;
    this.#prepared = !this.#writer!.prepare();
    return !this.#prepared;
  }

  #dial(name: string): UnixSocket {
    let socket: UnixSocket;
    try {
      socket = UnixSocket.connect(name);
    } catch (error) {
      const message = "its socket cannot be reached from here, so it is not on this host";
      throw this.#errors.unusable("connect", message, error);
    }
    const { uid } = socket.peerCredentials;
    const own = process.geteuid?.();
    if (uid === own) return socket;
    socket.close();
    throw this.#errors.unusable("connect", `its process belongs to user ${uid}, this one to ${own}`);
  }

  #takeTurn(queued: QueuedBatch): void {
    let turn: number;
    try {
      turn = this.#writer!.writePages(queued);
    } catch (error) {
      this.#lose(this.#errors.native("write", error));
      return;
    }
    if (!queued.pages.done) {
      queued.large = true;
      this.#queue.next();
      return;
    }
    this.#queue.finishCurrent();
    this.#flights.add(turn, queued);
  }

  /** Ends what has got where it was going: batches and, behind everything begun before them, fences. */
  #land(): void {
    if (this.#over || this.#flights.empty) return;
    const passed = this.#turnsPassed();
    for (let queued = this.#flights.nextLanded(passed); queued; queued = this.#flights.nextLanded(passed)) {
      if (!this.#writeAux(queued)) return;
      const { last, tag } = queued.batch;
      if (last) this.#socket.send(FrameType.NOTIFY, tag, last.totalBytes);
      this.#options.events.written(queued.batch);
      // The event may have closed this end.
      if (this.#over) return;
    }
    for (let fence = this.#flights.nextFence(passed); fence; fence = this.#flights.nextFence(passed)) {
      this.#passFence(fence);
    }
  }

  #turnsPassed(): number {
    try {
      return this.#writer!.passed;
    } catch (error) {
      this.#lose(this.#errors.native("write", error));
      return -1;
    }
  }

  #writeAux(queued: QueuedBatch): boolean {
    try {
      this.#writer!.writeAux(queued);
      return true;
    } catch (error) {
      this.#flights.add(0, queued);
      this.#lose(this.#errors.native("write", error));
      return false;
    }
  }

  /** Takes back what is queued and begun of the room; says so once every turn begun until now is over. */
  #stopWriting(tag: RoomTag, error: KVTransferError, revoked: boolean): void {
    const batches = [...this.#flights.take(tag), ...this.#queue.take(tag)];
    const fence = { turn: this.#writer?.begun ?? 0, tag, batches, error, revoked };
    if (fence.turn === 0) this.#passFence(fence);
    else this.#flights.addFence(fence);
  }

  #passFence({ tag, batches, error, revoked }: Fence): void {
    if (revoked) this.#socket.send(FrameType.FENCED, tag);
    this.#fail(batches, error);
  }

  #fail(batches: readonly WriteBatch[], error: KVTransferError): void {
    // An event may close this end; then nothing more is reported.
    for (const batch of batches) if (!this.#over) this.#options.events.failed(batch, error);
  }

  #control(type: number, tag: RoomTag): void {
    if (type !== FrameType.REVOKE) {
      this.#lose(this.#errors.protocol("receive", `unexpected frame of type ${type}`));
      return;
    }
    this.#revoked.add(tag);
    this.#stopWriting(tag, this.#errors.revoked(), true);
  }

  #message(type: number, value: unknown, descriptors: readonly number[]): void {
    try {
      if (this.#writer) throw this.#errors.protocol("receive", `unexpected message of type ${type}`);
      this.#writer = this.#handshake.receive(this.#socket, type, value, descriptors);
    } catch (error) {
      this.#lose(this.#errors.native("connect", error));
      return;
    }
    if (this.#writer) this.#options.events.connected();
  }

  #lose(error: KVTransferError): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
    const { events } = this.#options;
    for (const batch of [...this.#late.splice(0), ...this.#flights.takeAll(), ...this.#queue.takeAll()]) {
      events.failed(batch, error);
    }
    events.lost(error);
  }

  /**
   * The socket goes last: its end tells the receiver that nothing is written any more. Where that cannot be said it stays
   * open, and the receiver waits for this process to end.
   */
  #release(): void {
    this.#options.onClose();
    try {
      this.#handshake.close();
      this.#writer?.close();
    } catch {
      return;
    }
    this.#socket.send(FrameType.LEFT);
    this.#socket.close();
  }
}

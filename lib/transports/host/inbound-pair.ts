import { PidFd, type UnixSocket } from "../../../ffi/libc/index.ts";
import type { KVTransferError } from "../../errors.ts";
import { PairErrors, randomToken } from "../pairs/index.ts";
import type { InboundEnd, InboundEvents, RoomTag, TransportContext, TransportData, Watch } from "../transport.ts";
import type { ExposedMemory, Scratch } from "./exposed-memory.ts";
import { packCarried } from "./carried.ts";
import { type Hello, FrameType } from "./frames.ts";
import { endpointSchema } from "./offer.ts";
import { PairSocket } from "./pair-socket.ts";
import { sendWelcome } from "./welcome.ts";

const PROBE_BYTES = 16;

export interface InboundPairOptions {
  readonly transport: string;
  /** The listener's abstract name. */
  readonly name: string;
  readonly peer: string;
  readonly context: TransportContext;
  readonly events: InboundEvents;
  readonly memory: ExposedMemory;
  readonly onClose: () => void;
}

/**
 * The receiver's end of a same-host pair. The sender writes into this process's memory by itself, so a revoked room is
 * safe only when the sender has answered or when its process, or its end of the socket, is gone (which of the two: see
 * {@link ExposedMemory.outlivesSocket}).
 */
export class InboundPair implements InboundEnd {
  readonly offer: TransportData;
  readonly token = randomToken();
  readonly #options: InboundPairOptions;
  readonly #errors: PairErrors;
  /** Rooms that the sender may write to, and rooms taken back of which it has not said that it stopped. */
  readonly #expected = new Set<RoomTag>();
  readonly #revoking = new Set<RoomTag>();
  #socket: PairSocket | undefined;
  #scratch: Scratch | undefined;
  #nonce: string | undefined;
  #acceptedNonce: string | undefined;
  #proven = false;
  #connected = false;
  /** Why the sender was told to leave; its answer is the end of the stream. */
  #expelled: KVTransferError | undefined;
  /** Whether the sender has been told where to write and may still be there. */
  #exposed = false;
  /** The sender's process, where its end is what counts; and the watch on it once the socket is closed. */
  #process: PidFd | undefined;
  #processWatch: Watch | undefined;
  #left = false;
  #over = false;

  constructor(options: InboundPairOptions) {
    this.#options = options;
    this.#errors = new PairErrors(options.peer, options.transport);
    this.offer = { name: options.name, token: this.token };
  }

  get unfenced(): number {
    return this.#exposed ? this.#expected.size + this.#revoking.size : 0;
  }

  /** Whether a sender has come already: a token is good once. */
  get taken(): boolean {
    return this.#socket !== undefined || this.#over;
  }

  /** A sender has shown the token. */
  adopt(socket: UnixSocket, hello: Hello): void {
    const { context, events, memory } = this.#options;
    this.#nonce = hello.nonce;
    this.#socket = new PairSocket(
      socket,
      context.reactor,
      {
        heard: () => this.#expelled ?? events.heard(),
        control: (type, tag, count) => this.#control(type, tag, count),
        message: (type) => this.#expel(`unexpected message of type ${type}`),
        violated: (reason) => this.#expel(reason),
        ended: (error) => this.#ended(error),
      },
      { takesDescriptors: false },
    );
    try {
      const { pid } = socket.peerCredentials;
      memory.allow(pid);
      if (memory.outlivesSocket && pid !== 0) this.#process = PidFd.open(pid);
      this.#scratch = memory.openScratch();
      this.#exposed = true;
      sendWelcome(this.#socket, hello.nonce, [this.#scratch.place, ...memory.places]);
    } catch (error) {
      const failure = this.#errors.native("connect", error);
      this.#socket.sendMessage(FrameType.REFUSED, {
        reason: failure.message,
        ...(failure.status && { status: failure.status }),
      });
      this.#expel(failure.message);
    }
  }

  accept(endpoint: unknown): void {
    const { nonce } = this.#errors.parse(endpointSchema, endpoint, "accept");
    if (this.#nonce !== undefined && nonce !== this.#nonce) {
      throw this.#errors.protocol("accept", "the endpoint is not that of the process at the other end of the socket");
    }
    this.#acceptedNonce = nonce;
    this.#connectIfReady();
  }

  carry(frames: readonly Uint8Array[]): boolean {
    const packet = this.#connected ? packCarried(frames) : undefined;
    if (!packet) return false;
    this.#socket?.sendPacket(packet);
    return true;
  }

  expect(tag: RoomTag): void {
    this.#expected.add(tag);
  }

  forget(tag: RoomTag): void {
    this.#expected.delete(tag);
  }

  revoke(tag: RoomTag): boolean {
    if (this.#revoking.has(tag)) return false;
    if (!this.#expected.delete(tag) || !this.#exposed) return true;
    this.#revoking.add(tag);
    this.#socket?.send(FrameType.REVOKE, tag);
    return false;
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
  }

  #control(type: number, tag: RoomTag, count: number): void {
    const { events } = this.#options;
    if (type === FrameType.LEFT) this.#left = true;
    if (this.#expelled) return;
    switch (type) {
      case FrameType.PROBE:
        this.#answerProbe();
        break;
      case FrameType.NOTIFY:
        // Taken back meanwhile: the answer to that is what counts.
        if (this.#revoking.has(tag)) break;
        if (this.#expected.delete(tag)) events.arrived(tag, count);
        else this.#expel(`was told that room tag ${tag} is complete, which is not expected`);
        break;
      case FrameType.FENCED:
        if (this.#revoking.delete(tag)) events.fenced(tag);
        break;
      case FrameType.ALIVE:
        break;
      case FrameType.LEFT:
        break;
      default:
        this.#expel(`unexpected frame of type ${type}`);
    }
  }

  #answerProbe(): void {
    const scratch = this.#scratch;
    if (!scratch) {
      this.#expel("a second probe");
      return;
    }
    const found = scratch.read(PROBE_BYTES).toHex();
    scratch.close();
    this.#scratch = undefined;
    this.#socket?.sendMessage(FrameType.PROOF, { found });
    this.#proven = true;
    this.#connectIfReady();
  }

  #connectIfReady(): void {
    if (this.#connected || !this.#proven || this.#acceptedNonce === undefined) return;
    if (this.#acceptedNonce !== this.#nonce) {
      this.#expel("accepted another process than the one at the other end of the socket");
      return;
    }
    this.#connected = true;
    this.#options.events.connected();
  }

  /** Tells the sender to stop; only when it has left does anyone know that nothing more can land. */
  #expel(reason: string): void {
    if (this.#expelled || this.#over) return;
    this.#expelled = this.#errors.protocol("receive", reason);
    this.#socket?.finishSending();
  }

  #ended(cause: unknown): void {
    if (this.#over) return;
    const process = this.#left ? undefined : this.#process;
    if (!process) return this.#gone(cause);
    this.#socket?.close();
    this.#processWatch = this.#options.context.reactor.watch(process.fd, { readable: true }, () => this.#gone(cause));
  }

  #gone(cause: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#exposed = false;
    this.#expected.clear();
    this.#revoking.clear();
    this.#release();
    const error =
      this.#expelled ??
      this.#errors.lost("receive", "the process has ended or has closed the pair", cause ? { cause } : {});
    this.#options.events.lost(error);
  }

  #release(): void {
    this.#socket?.close();
    this.#processWatch?.close();
    this.#process?.close();
    this.#scratch?.close();
    this.#scratch = undefined;
    this.#options.onClose();
  }
}

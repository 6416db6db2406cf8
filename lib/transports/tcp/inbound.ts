import { type TcpSocket, WOULD_BLOCK } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { KVTransferError } from "../../errors.ts";
import { carriedBytes, packFrames, PairErrors, randomToken } from "../pairs/index.ts";
import type { InboundEnd, InboundEvents, RoomTag, TransportContext, TransportData, Watch } from "../transport.ts";
import { FrameReader, type Verdict } from "./frame-reader.ts";
import {
  carryBytes,
  endpointSchema,
  FrameError,
  type Hello,
  MAX_CARRIED_BYTES,
  RECEIVER_FRAME_BYTES,
  ReceiverFrame,
} from "./frames.ts";
import { packGreeting } from "./greeting.ts";
import { keepAliveOf, type TcpOptions } from "./options.ts";
import { SendBuffer } from "./send-buffer.ts";

/** How long one call from the poll loop may read. */
const READ_MS = 0.25;
/** Within one host no byte is ever on its way: what is ahead of the reader only makes the next room wait. */
const OWN_HOST_WINDOW_BYTES = 1024 * 1024;

const frame = NativeBuffer.allocate(RECEIVER_FRAME_BYTES);

export interface TcpInboundOptions {
  readonly peer: string;
  readonly address: { readonly host: string; readonly port: number };
  readonly context: TransportContext;
  readonly options: TcpOptions;
  readonly events: InboundEvents;
  readonly onClose: () => void;
}

/** The receiver's end of a TCP pair. It places every byte itself, so what it has taken back is safe at once. */
export class TcpInbound implements InboundEnd {
  /** Nothing lands behind this process's back. */
  readonly unfenced = 0;
  readonly token = randomToken();
  readonly offer: TransportData;
  readonly #setup: TcpInboundOptions;
  readonly #errors: PairErrors;
  readonly #expected = new Set<RoomTag>();
  /** Rooms whose data is thrown away until the sender says that no more of it comes. */
  readonly #revoked = new Set<RoomTag>();
  readonly #outgoing = new SendBuffer();
  #socket: TcpSocket | undefined;
  #watch: Watch | undefined;
  #reader: FrameReader | undefined;
  #nonce: string | undefined;
  #acceptedNonce: string | undefined;
  #connected = false;
  #over = false;

  constructor(setup: TcpInboundOptions) {
    this.#setup = setup;
    this.#errors = new PairErrors(setup.peer, "tcp");
    this.offer = { ...setup.address, token: this.token };
  }

  /** Whether a sender has come already: a token is good once. */
  get taken(): boolean {
    return this.#socket !== undefined || this.#over;
  }

  /** A sender has shown the token. */
  adopt(socket: TcpSocket, hello: Hello): void {
    const { context, options } = this.#setup;
    this.#socket = socket;
    this.#nonce = hello.nonce;
    this.#reader = new FrameReader(
      socket,
      {
        judge: (tag) => this.#judge(tag),
        mayWrite: (tag, address, byteLength) => context.mayWrite(tag, address, byteLength),
        batchEnded: (tag) => this.#send(ReceiverFrame.WRITTEN, tag),
        roomEnded: (tag, totalBytes) => {
          this.#expected.delete(tag);
          this.#setup.events.arrived(tag, totalBytes);
        },
        fenced: (tag) => this.#revoked.delete(tag),
      },
      context.landing?.(),
    );
    this.#watch = context.reactor.watch(socket.fd, { readable: true }, ({ readable, writable, failed }) => {
      if (writable) this.#flush();
      if (readable || failed) this.#read();
    });
    try {
      socket.setNoDelay();
      if (socket.localAddress.host === socket.peerAddress.host) socket.setWindowLimit(OWN_HOST_WINDOW_BYTES);
      socket.setKeepAlive(keepAliveOf(options));
    } catch (error) {
      this.#lose(this.#errors.native("connect", error));
      return;
    }
    this.#outgoing.append(packGreeting({ nonce: hello.nonce }).bytes);
    this.#flush();
    this.#connectIfReady();
  }

  accept(endpoint: unknown): void {
    const { nonce } = this.#errors.parse(endpointSchema, endpoint, "accept");
    if (this.#nonce !== undefined && nonce !== this.#nonce) {
      throw this.#errors.protocol(
        "accept",
        "the endpoint is not that of the process at the other end of the connection",
      );
    }
    this.#acceptedNonce = nonce;
    this.#connectIfReady();
  }

  carry(frames: readonly Uint8Array[]): boolean {
    const byteLength = carriedBytes(frames);
    if (!this.#connected || byteLength > MAX_CARRIED_BYTES) return false;
    const packed = NativeBuffer.allocate(carryBytes(byteLength));
    packed.u32[0] = ReceiverFrame.CARRY;
    packed.setAddress(8, byteLength);
    packFrames(frames, packed.bytes.subarray(RECEIVER_FRAME_BYTES));
    this.#sendBytes(packed.bytes);
    return true;
  }

  expect(tag: RoomTag): void {
    this.#expected.add(tag);
  }

  forget(tag: RoomTag): void {
    this.#expected.delete(tag);
  }

  revoke(tag: RoomTag): boolean {
    if (!this.#expected.delete(tag) || !this.#reader || this.#over) return true;
    this.#revoked.add(tag);
    this.#reader.discard(tag);
    this.#send(ReceiverFrame.REVOKE, tag);
    return true;
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
  }

  #judge(tag: RoomTag): Verdict {
    if (this.#revoked.has(tag)) return "discard";
    return this.#connected && this.#expected.has(tag) ? "place" : "wrong";
  }

  #connectIfReady(): void {
    if (this.#connected || this.#over || this.#nonce === undefined || this.#acceptedNonce === undefined) return;
    if (this.#nonce !== this.#acceptedNonce) {
      this.#lose(this.#errors.protocol("accept", "prefill accepted for another connection than the one that came"));
      return;
    }
    this.#connected = true;
    this.#setup.events.connected();
  }

  #read(): void {
    const { context, events } = this.#setup;
    const until = context.now() + READ_MS;
    let heard = false;
    try {
      while (!this.#over) {
        const got = this.#reader!.read();
        if (got === WOULD_BLOCK) return;
        if (got === 0) {
          this.#lose(this.#errors.lost("receive", "the peer has closed the connection"));
          return;
        }
        if (!heard) events.heard();
        heard = true;
        if (context.now() >= until) return;
      }
    } catch (error) {
      if (error instanceof FrameError) this.#lose(this.#errors.protocol("receive", error.message, { cause: error }));
      else this.#lose(this.#errors.native("receive", error));
    }
  }

  #send(type: number, tag: RoomTag): void {
    frame.u32[0] = type;
    frame.u32[1] = tag;
    this.#sendBytes(frame.bytes);
  }

  #sendBytes(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#outgoing.append(bytes);
    this.#flush();
  }

  #flush(): void {
    if (this.#over || !this.#socket) return;
    try {
      const sent = this.#outgoing.flush(this.#socket);
      this.#watch?.update({ readable: true, writable: !sent });
    } catch {
      // The connection is broken: reading says so, and how.
    }
  }

  #lose(error: KVTransferError): void {
    if (this.#over) return;
    this.#over = true;
    this.#release();
    this.#setup.events.lost(error);
  }

  #release(): void {
    this.#watch?.close();
    this.#socket?.close();
    this.#reader?.close();
    this.#expected.clear();
    this.#revoked.clear();
    this.#setup.onClose();
  }
}

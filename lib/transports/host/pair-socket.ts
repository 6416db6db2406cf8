import { closeDescriptor, type UnixSocket, WOULD_BLOCK } from "../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { RoomTag, Reactor, Watch } from "../transport.ts";
import { unpackCarried } from "./carried.ts";
import { CONTROL_FRAME_BYTES, FrameType, MAX_FRAME_BYTES, MESSAGE_TYPES } from "./frames.ts";

/** Packets taken in one turn of the poll loop. */
const PACKETS_PER_TURN = 64;

const incoming = NativeBuffer.allocate(MAX_FRAME_BYTES + 16);
const outgoing = NativeBuffer.allocate(CONTROL_FRAME_BYTES);

export interface PairSocketEvents {
  /** Something came. */
  heard(): void;
  control(type: number, tag: RoomTag, count: number): void;
  /** JSON as it came. Descriptors are the handler's to close. */
  message(type: number, value: unknown, descriptors: readonly number[]): void;
  /** A message of the managers. */
  carried?(frames: readonly Uint8Array<ArrayBuffer>[]): void;
  /** The peer sent what no peer sends; the socket is still open. */
  violated(reason: string): void;
  /** The peer's process has closed its end or has ended. Nothing else is reported after. */
  ended(error?: unknown): void;
}

interface Waiting {
  readonly packet: NativeBuffer;
  readonly descriptors: readonly number[];
}

/** One end of a pair's unix socket: frames in, frames out, what does not fit now is sent when it does. */
export class PairSocket {
  readonly #socket: UnixSocket;
  readonly #events: PairSocketEvents;
  readonly #watch: Watch;
  readonly #waiting: Waiting[] = [];
  #takesDescriptors: boolean;

  constructor(socket: UnixSocket, reactor: Reactor, events: PairSocketEvents, options: { takesDescriptors: boolean }) {
    this.#socket = socket;
    this.#events = events;
    this.#takesDescriptors = options.takesDescriptors;
    this.#watch = reactor.watch(socket.fd, { readable: true }, ({ readable, writable, failed }) => {
      if (writable) this.#flush();
      if (readable || failed) this.#receive();
    });
  }

  get closed(): boolean {
    return this.#socket.closed;
  }

  /** Whether something waits for the peer to read. */
  get congested(): boolean {
    return this.#waiting.length > 0;
  }

  /** Sends a control frame now or, in order, when the peer has read. */
  send(type: FrameType, tag: RoomTag = 0, count = 0): void {
    if (this.closed) return;
    if (this.congested) {
      this.#waiting.push({
        packet: packControl(NativeBuffer.allocate(CONTROL_FRAME_BYTES), type, tag, count),
        descriptors: [],
      });
      return;
    }
    packControl(outgoing, type, tag, count);
    if (this.#trySend(outgoing, [])) return;
    this.#wait({ packet: packControl(NativeBuffer.allocate(CONTROL_FRAME_BYTES), type, tag, count), descriptors: [] });
  }

  sendMessage(type: FrameType, value: unknown, descriptors: readonly number[] = []): void {
    if (this.closed) return;
    const packet = packMessage(type, value);
    if (this.congested || !this.#trySend(packet, descriptors)) this.#wait({ packet, descriptors });
  }

  /** Sends a packet made before, in order with the rest. */
  sendPacket(packet: NativeBuffer): void {
    if (this.closed) return;
    if (this.congested || !this.#trySend(packet, [])) this.#wait({ packet, descriptors: [] });
  }

  /** The peer reads the end of the stream and then closes; receiving goes on. */
  finishSending(): void {
    if (!this.closed) this.#socket.finishSending();
  }

  close(): void {
    if (this.closed) return;
    this.#watch.close();
    this.#socket.close();
  }

  #wait(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (!this.closed) this.#watch.update({ readable: true, writable: true });
  }

  #flush(): void {
    let sent = 0;
    while (sent < this.#waiting.length) {
      const { packet, descriptors } = this.#waiting[sent]!;
      if (!this.#trySend(packet, descriptors)) break;
      sent++;
    }
    this.#waiting.splice(0, sent);
    if (!this.closed && this.#waiting.length === 0) this.#watch.update({ readable: true });
  }

  /** True: sent, or of no use any more because the peer is gone, which the next receive will say. */
  #trySend(packet: NativeBuffer, descriptors: readonly number[]): boolean {
    try {
      const sent =
        descriptors.length === 0
          ? this.#socket.send(packet.address, packet.byteLength)
          : this.#socket.sendDescriptors(packet.address, packet.byteLength, descriptors);
      return sent !== WOULD_BLOCK;
    } catch {
      return true;
    }
  }

  #receive(): void {
    for (let count = 0; count < PACKETS_PER_TURN && !this.closed; count++) {
      let length: number;
      let descriptors: readonly number[] = [];
      try {
        if (this.#takesDescriptors) {
          const packet = this.#socket.receiveDescriptors(incoming.address, incoming.byteLength);
          length = packet.byteLength;
          descriptors = packet.descriptors;
        } else {
          length = this.#socket.receive(incoming.address, incoming.byteLength);
        }
      } catch (error) {
        this.#events.ended(error);
        return;
      }
      if (length === WOULD_BLOCK) return;
      if (length === 0) {
        this.#events.ended();
        return;
      }
      this.#events.heard();
      if (!this.closed) this.#dispatch(length, descriptors);
      else for (const fd of descriptors) closeDescriptor(fd);
    }
  }

  #dispatch(length: number, descriptors: readonly number[]): void {
    const type = incoming.u32[0]!;
    if (type === FrameType.CARRY && this.#events.carried) {
      for (const fd of descriptors) closeDescriptor(fd);
      const frames = unpackCarried(incoming, length);
      if (frames) this.#events.carried(frames);
      else this.#events.violated("a carried message of wrong lengths");
      return;
    }
    if (length === CONTROL_FRAME_BYTES && !MESSAGE_TYPES.has(type)) {
      for (const fd of descriptors) closeDescriptor(fd);
      this.#events.control(type, incoming.u32[1]!, incoming.getAddress(8));
      return;
    }
    const message = unpackMessage(incoming, length);
    if (message !== undefined) this.#events.message(message.type, message.value, descriptors);
    else {
      for (const fd of descriptors) closeDescriptor(fd);
      this.#events.violated(`a packet of type ${type} with ${length} bytes is no frame`);
    }
  }
}

export function packMessage(type: FrameType, value: unknown): NativeBuffer {
  const text = new TextEncoder().encode(JSON.stringify(value));
  if (text.length + 4 > MAX_FRAME_BYTES) throw new RangeError(`a message of ${text.length} bytes is too long`);
  const packet = NativeBuffer.allocate(4 + text.length);
  packet.u32[0] = type;
  packet.bytes.set(text, 4);
  return packet;
}

/** The message in the first `length` bytes; undefined where there is none. */
export function unpackMessage(packet: NativeBuffer, length: number): { type: number; value: unknown } | undefined {
  const type = packet.u32[0]!;
  if (length < 4 || length > MAX_FRAME_BYTES || !MESSAGE_TYPES.has(type)) return undefined;
  try {
    return {
      type,
      value: JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(packet.bytes.subarray(4, length))),
    };
  } catch {
    return undefined;
  }
}

function packControl(packet: NativeBuffer, type: FrameType, tag: RoomTag, count: number): NativeBuffer {
  packet.u32[0] = type;
  packet.u32[1] = tag;
  packet.setAddress(8, count);
  return packet;
}

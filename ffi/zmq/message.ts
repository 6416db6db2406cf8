import { constants } from "node:os";
import { type Address, NativeBuffer, NULL, unsafeReadCString } from "../runtime/index.ts";
import { libzmq } from "./library.ts";

/**
 * Frames in and out of libzmq. One zmq_msg_t (64 bytes) and one window serve all sockets of a thread, since each
 * thread has its own instance of this module and no call here can be interrupted by another. Frames cross through
 * the window, which stays in the processor's cache: no typed array's address is ever taken, and nothing is
 * allocated but what the caller keeps.
 * @module
 */
const message = NativeBuffer.allocate(64);
const window = NativeBuffer.allocate(65_536);
const { errno: errnos } = constants;
const encoder = new TextEncoder();

/** Sends one frame; 0, or the errno. */
export function sendFrame(socket: Address, frame: Uint8Array | string, flags: number): number {
  // UTF-8 takes at most three bytes for each UTF-16 unit.
  if (typeof frame === "string" && frame.length * 3 > window.byteLength) frame = encoder.encode(frame);
  if (frame.length > window.byteLength) return sendLarge(socket, frame as Uint8Array, flags);
  const length = typeof frame === "string" ? encoder.encodeInto(frame, window.bytes).written : frame.length;
  if (typeof frame !== "string") window.bytes.set(frame);
  const { zmq_send, zmq_errno } = libzmq().symbols;
  while (zmq_send(socket, window.address, length, flags) === -1) {
    const errno = zmq_errno();
    if (errno !== errnos.EINTR) return errno;
  }
  return 0;
}

function sendLarge(socket: Address, frame: Uint8Array, flags: number): number {
  const { zmq_msg_init_size, zmq_msg_data, zmq_msg_send, zmq_msg_close, zmq_errno } = libzmq().symbols;
  if (zmq_msg_init_size(message.address, frame.length) !== 0) return zmq_errno();
  copyIn(frame, zmq_msg_data(message.address));
  while (zmq_msg_send(message.address, socket, flags) === -1) {
    const errno = zmq_errno();
    if (errno === errnos.EINTR) continue;
    zmq_msg_close(message.address);
    return errno;
  }
  return 0; // the socket owns the content now, and message is empty
}

/** Where a message came from. */
export interface MessageOrigin {
  /** The peer's address in digits (zmq_msg_gets(3) Peer-Address); undefined where the transport has none. */
  peerAddress?: string | undefined;
}

/**
 * Receives one whole message, copied into arrays of JavaScript's own: at most `limit` + 1 frames of it, the rest is
 * discarded. A number is the errno. `origin`, if given, is filled in.
 */
export function receiveFrames(
  socket: Address,
  flags: number,
  limit: number,
  origin?: MessageOrigin,
): Uint8Array[] | number {
  const { zmq_msg_init, zmq_msg_size, zmq_msg_data, zmq_msg_more, zmq_msg_close } = libzmq().symbols;
  zmq_msg_init(message.address);
  try {
    const frames: Uint8Array[] = [];
    do {
      const errno = receiveFrame(socket, flags);
      if (errno !== 0) return errno;
      if (origin && frames.length === 0) origin.peerAddress = property("Peer-Address");
      frames.push(copyOut(zmq_msg_data(message.address), zmq_msg_size(message.address)));
    } while (frames.length <= limit && zmq_msg_more(message.address) === 1);
    return frames;
  } finally {
    // Whatever ended the loop, the next message must be received from its first frame.
    while (zmq_msg_more(message.address) === 1 && receiveFrame(socket, flags) === 0);
    zmq_msg_close(message.address);
  }
}

function property(name: string): string | undefined {
  const text = libzmq().symbols.zmq_msg_gets(message.address, name);
  return text === NULL ? undefined : unsafeReadCString(text);
}

/** Receives into `message`, releasing what it held; 0, or the errno. */
function receiveFrame(socket: Address, flags: number): number {
  const { zmq_msg_recv, zmq_errno } = libzmq().symbols;
  while (zmq_msg_recv(message.address, socket, flags) === -1) {
    const errno = zmq_errno();
    if (errno !== errnos.EINTR) return errno;
  }
  return 0;
}

function copyIn(frame: Uint8Array, to: Address): void {
  const { memcpy } = libzmq().symbols;
  for (let offset = 0; offset < frame.length; offset += window.byteLength) {
    const piece = frame.subarray(offset, offset + window.byteLength);
    window.bytes.set(piece);
    memcpy(to + offset, window.address, piece.length);
  }
}

function copyOut(from: Address, length: number): Uint8Array {
  const { memcpy } = libzmq().symbols;
  if (length <= window.byteLength) {
    memcpy(window.address, from, length);
    return window.bytes.slice(0, length);
  }
  const frame = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += window.byteLength) {
    const piece = Math.min(window.byteLength, length - offset);
    memcpy(window.address, from + offset, piece);
    frame.set(window.bytes.subarray(0, piece), offset);
  }
  return frame;
}

import { type Address, NativeBuffer } from "../runtime/index.ts";
import { socketOptions } from "./constants.ts";
import { lastError, refusal } from "./errors.ts";
import { libzmq } from "./library.ts";

export type SocketOption = keyof typeof socketOptions;

/** One value at a time, behind its length; the longest is an endpoint. libzmq copies it during the call. */
const lengthAt = 0;
const valueAt = 8;
const capacity = 1024;
const box = NativeBuffer.allocate(valueAt + capacity);

export function setNumber(socket: Address, option: SocketOption, value: number, width: 4 | 8 = 4): void {
  const limit = width === 4 ? 0x7fff_ffff : Number.MAX_SAFE_INTEGER;
  if (!Number.isInteger(value) || Math.abs(value) > limit) {
    throw refusal("zmq_setsockopt", "EINVAL", `expected an integer of ${width} bytes, got ${value}`, option);
  }
  if (width === 4) box.view.setInt32(valueAt, value, true);
  else box.view.setBigInt64(valueAt, BigInt(value), true);
  set(socket, option, width, String(value));
}

export function setBytes(socket: Address, option: SocketOption, bytes: Uint8Array): void {
  if (bytes.length > capacity) {
    throw refusal("zmq_setsockopt", "EINVAL", `expected at most ${capacity} bytes, got ${bytes.length}`, option);
  }
  box.bytes.set(bytes, valueAt);
  set(socket, option, bytes.length, `of ${bytes.length} bytes`);
}

export function getNumber(socket: Address, option: SocketOption): number {
  get(socket, option, 4);
  return box.view.getInt32(valueAt, true);
}

export function getString(socket: Address, option: SocketOption): string {
  const length = get(socket, option, capacity);
  return new TextDecoder().decode(box.bytes.subarray(valueAt, valueAt + Math.max(0, length - 1)));
}

function set(socket: Address, option: SocketOption, length: number, shown: string): void {
  const rc = libzmq().symbols.zmq_setsockopt(socket, socketOptions[option], box.address + valueAt, length);
  if (rc !== 0) throw lastError("zmq_setsockopt", `${option} ${shown}`);
}

/** Reads into the box; the number of bytes read. */
function get(socket: Address, option: SocketOption, length: number): number {
  box.setAddress(lengthAt, length);
  const { zmq_getsockopt } = libzmq().symbols;
  const rc = zmq_getsockopt(socket, socketOptions[option], box.address + valueAt, box.address + lengthAt);
  if (rc !== 0) throw lastError("zmq_getsockopt", option);
  return box.getAddress(lengthAt);
}

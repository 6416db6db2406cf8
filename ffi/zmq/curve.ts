import { NativeBuffer, NULL, unsafeReadCString } from "../runtime/index.ts";
import { lastError, refusal } from "./errors.ts";
import { libzmq } from "./library.ts";

/** Z85 texts of 40 characters, 32 bytes each. */
export interface CurveKeypair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** 40 characters and NUL. */
const keyBytes = 41;

/** A new random key pair. ENOTSUP where the library was built without CURVE. */
export function curveKeypair(): CurveKeypair {
  const keys = NativeBuffer.allocate(2 * keyBytes);
  const rc = libzmq().symbols.zmq_curve_keypair(keys.address, keys.address + keyBytes);
  if (rc !== 0) throw lastError("zmq_curve_keypair");
  const keypair = {
    publicKey: unsafeReadCString(keys.address, keyBytes),
    secretKey: unsafeReadCString(keys.address + keyBytes, keyBytes),
  };
  keys.bytes.fill(0);
  return keypair;
}

/** The public key that belongs to a secret one. */
export function curvePublic(secretKey: string): string {
  if (secretKey.length !== 40) {
    throw refusal("zmq_curve_public", "EINVAL", `expected a Z85 key of 40 characters, got ${secretKey.length}`);
  }
  const key = NativeBuffer.allocate(keyBytes);
  if (libzmq().symbols.zmq_curve_public(key.address, secretKey) !== 0) throw lastError("zmq_curve_public");
  return unsafeReadCString(key.address, keyBytes);
}

/** ZeroMQ RFC 32: five characters for four bytes, so a multiple of four bytes. */
export function z85Encode(bytes: Uint8Array): string {
  if (bytes.length % 4 !== 0) {
    throw refusal("zmq_z85_encode", "EINVAL", `expected a multiple of 4 bytes, got ${bytes.length}`);
  }
  if (bytes.length === 0) return "";
  const source = NativeBuffer.allocate(bytes.length);
  source.bytes.set(bytes);
  const text = NativeBuffer.allocate((bytes.length / 4) * 5 + 1);
  const rc = libzmq().symbols.zmq_z85_encode(text.address, source.address, bytes.length);
  if (rc === NULL) throw lastError("zmq_z85_encode");
  return new TextDecoder().decode(text.bytes.subarray(0, -1));
}

/** @throws {ZmqError} EINVAL for a character outside of Z85, a group above 2^32 or a length that is no multiple of five. */
export function z85Decode(text: string): Uint8Array {
  if (text.length % 5 !== 0) {
    throw refusal("zmq_z85_decode", "EINVAL", `expected a multiple of 5 characters, got ${text.length}`);
  }
  if (text === "") return new Uint8Array(0);
  // A character outside of ASCII would give C more bytes than there are characters, and room for.
  if (!/^[\x21-\x7e]*$/.test(text)) throw refusal("zmq_z85_decode", "EINVAL", "a character is not of Z85");
  const bytes = NativeBuffer.allocate((text.length / 5) * 4);
  if (libzmq().symbols.zmq_z85_decode(bytes.address, text) === NULL) throw lastError("zmq_z85_decode");
  return bytes.bytes.slice();
}

import {
  type Address,
  NativeBuffer,
  NULL,
  unsafeReadAddress,
  unsafeReadCString,
  unsafeReadI32,
} from "../runtime/index.ts";
import { AddressFamily } from "./constants.ts";
import { lastErrno, LibcError } from "./errors.ts";
import { libc } from "./library.ts";

/** Offsets in `struct sockaddr_in`, `sockaddr_in6`, `sockaddr_un` and `addrinfo` (ip(7), ipv6(7), unix(7), getaddrinfo(3)). */
export const SOCKADDR_IN = { family: 0, port: 2, address: 4, size: 16 } as const;
export const SOCKADDR_IN6 = { family: 0, port: 2, flowinfo: 4, address: 8, scope: 24, size: 28 } as const;
export const SOCKADDR_UN = { family: 0, path: 2, size: 110 } as const;
export const ADDRINFO = { family: 4, addrlen: 16, addr: 24, size: 48 } as const;

const TEXT_BYTES = 46;

/** A numeric address and a port. */
export interface InternetAddress {
  readonly host: string;
  readonly port: number;
}

/** A filled `struct sockaddr_*`: what bind, connect and the rest take. */
export interface PackedAddress {
  readonly storage: NativeBuffer;
  readonly byteLength: number;
  readonly family: number;
}

/** Throws LibcError EINVAL where `host` is no IPv4 or IPv6 address in digits. */
export function packInternetAddress({ host, port }: InternetAddress): PackedAddress {
  const storage = NativeBuffer.allocate(SOCKADDR_IN6.size);
  storage.view.setUint16(SOCKADDR_IN.port, port, false);
  if (libc.inet_pton(AddressFamily.INET, host, storage.address + SOCKADDR_IN.address) === 1) {
    storage.view.setUint16(SOCKADDR_IN.family, AddressFamily.INET, true);
    return { storage, byteLength: SOCKADDR_IN.size, family: AddressFamily.INET };
  }
  if (libc.inet_pton(AddressFamily.INET6, host, storage.address + SOCKADDR_IN6.address) === 1) {
    storage.view.setUint16(SOCKADDR_IN6.family, AddressFamily.INET6, true);
    return { storage, byteLength: SOCKADDR_IN6.size, family: AddressFamily.INET6 };
  }
  throw new LibcError("inet_pton", 22, `expected an IPv4 or IPv6 address in digits, not ${JSON.stringify(host)}`);
}

export function unpackInternetAddress(storage: NativeBuffer): InternetAddress {
  const family = storage.view.getUint16(0, true);
  const port = storage.view.getUint16(SOCKADDR_IN.port, false);
  return { host: hostText(family, storage.address), port };
}

/** An abstract name: no file, gone with the last socket that holds it, seen only in its network namespace (unix(7)). */
export function packAbstractName(name: string): PackedAddress {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length === 0 || encoded.length > 107) {
    throw new RangeError(`an abstract socket name has 1 to 107 bytes, not ${encoded.length}`);
  }
  const storage = NativeBuffer.allocate(SOCKADDR_UN.size);
  storage.view.setUint16(SOCKADDR_UN.family, AddressFamily.UNIX, true);
  storage.bytes.set(encoded, SOCKADDR_UN.path + 1);
  return { storage, byteLength: SOCKADDR_UN.path + 1 + encoded.length, family: AddressFamily.UNIX };
}

/**
 * The first numeric address of a host name (getaddrinfo(3)); digits come back as they are. Blocks for as long as the
 * resolver takes: for start-up, not for a thread that serves.
 */
export function resolveHost(host: string): string {
  const result = NativeBuffer.allocate(8);
  const status = libc.getaddrinfo(host, NULL, NULL, result.address);
  // EAI_SYSTEM: errno has the reason.
  if (status === -11) throw new LibcError("getaddrinfo", lastErrno(), host);
  if (status !== 0) throw new LibcError("getaddrinfo", 0, `no address for ${JSON.stringify(host)} (status ${status})`);
  const info = result.getAddress(0);
  try {
    return hostText(unsafeReadI32(info, ADDRINFO.family), unsafeReadAddress(info, ADDRINFO.addr));
  } finally {
    libc.freeaddrinfo(info);
  }
}

function hostText(family: number, sockaddr: Address): string {
  const text = NativeBuffer.allocate(TEXT_BYTES);
  const address = sockaddr + (family === AddressFamily.INET6 ? SOCKADDR_IN6.address : SOCKADDR_IN.address);
  if (libc.inet_ntop(family, address, text.address, TEXT_BYTES) === NULL) {
    throw new LibcError("inet_ntop", lastErrno(), `address family ${family}`);
  }
  return unsafeReadCString(text.address, TEXT_BYTES);
}

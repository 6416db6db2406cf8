import { constants } from "node:os";
import { NativeBuffer } from "../runtime/index.ts";
import {
  AddressFamily,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  O_CLOEXEC,
  O_NONBLOCK,
  SocketOption,
  SocketType,
  SOL_SOCKET,
  TcpOption,
} from "./constants.ts";
import { checked, lastErrno, LibcError } from "./errors.ts";
import { libc } from "./library.ts";
import { acceptDescriptor, Socket } from "./socket.ts";
import { type InternetAddress, packInternetAddress, SOCKADDR_IN6, unpackInternetAddress } from "./socket-address.ts";

/** How soon a silent peer counts as dead (tcp(7)). */
export interface KeepAlive {
  readonly idleSeconds: number;
  readonly intervalSeconds: number;
  readonly probes: number;
  /** How long sent data may stay unacknowledged. */
  readonly userTimeoutMs: number;
}

/** A non-blocking TCP connection. */
export class TcpSocket extends Socket {
  /**
   * Begins to connect. The socket becomes writable when that has ended; then `takeError()` says how. Throws LibcError
   * where it fails at once, as with a network that cannot be reached.
   */
  static connect(to: InternetAddress, buffers: { sendBytes?: number; receiveBytes?: number } = {}): TcpSocket {
    const address = packInternetAddress(to);
    const socket = new TcpSocket(openStream(address.family));
    try {
      socket.setBuffers(buffers);
      if (libc.connect(socket.fd, address.storage.address, address.byteLength) === -1) {
        const errno = lastErrno();
        if (errno !== constants.errno.EINPROGRESS) throw new LibcError("connect", errno, endpointText(to));
      }
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  get localAddress(): InternetAddress {
    return addressOf(this.fd, "getsockname");
  }

  get peerAddress(): InternetAddress {
    return addressOf(this.fd, "getpeername");
  }

  /** Sends small writes at once (TCP_NODELAY). */
  setNoDelay(): void {
    this.setOption(IPPROTO_TCP, TcpOption.NODELAY, 1);
  }

  /** Takes no more while so many bytes wait in the kernel for their turn on the wire (TCP_NOTSENT_LOWAT). */
  setUnsentLimit(byteLength: number): void {
    this.setOption(IPPROTO_TCP, TcpOption.NOTSENT_LOWAT, byteLength);
  }

  /** Lets the peer send no more than so many bytes ahead of what was received (TCP_WINDOW_CLAMP). */
  setWindowLimit(byteLength: number): void {
    this.setOption(IPPROTO_TCP, TcpOption.WINDOW_CLAMP, byteLength);
  }

  /** Kernel buffers in bytes. Before connect or listen, so that the window scale allows for them. */
  setBuffers({ sendBytes, receiveBytes }: { sendBytes?: number; receiveBytes?: number }): void {
    if (sendBytes !== undefined) this.setOption(SOL_SOCKET, SocketOption.SNDBUF, sendBytes);
    if (receiveBytes !== undefined) this.setOption(SOL_SOCKET, SocketOption.RCVBUF, receiveBytes);
  }

  setKeepAlive(keepAlive: KeepAlive): void {
    this.setOption(SOL_SOCKET, SocketOption.KEEPALIVE, 1);
    this.setOption(IPPROTO_TCP, TcpOption.KEEPIDLE, keepAlive.idleSeconds);
    this.setOption(IPPROTO_TCP, TcpOption.KEEPINTVL, keepAlive.intervalSeconds);
    this.setOption(IPPROTO_TCP, TcpOption.KEEPCNT, keepAlive.probes);
    this.setOption(IPPROTO_TCP, TcpOption.USER_TIMEOUT, keepAlive.userTimeoutMs);
  }
}

/** A listening TCP socket. */
export class TcpListener extends Socket {
  /** Port 0 takes a free one: see {@link address}. `::` also takes IPv4 connections. */
  static listen(at: InternetAddress, buffers: { sendBytes?: number; receiveBytes?: number } = {}): TcpListener {
    const address = packInternetAddress(at);
    const listener = new TcpListener(openStream(address.family));
    try {
      listener.setOption(SOL_SOCKET, SocketOption.REUSEADDR, 1);
      if (address.family === AddressFamily.INET6) listener.setOption(IPPROTO_IPV6, IPV6_V6ONLY, 0);
      if (buffers.sendBytes !== undefined) listener.setOption(SOL_SOCKET, SocketOption.SNDBUF, buffers.sendBytes);
      if (buffers.receiveBytes !== undefined) listener.setOption(SOL_SOCKET, SocketOption.RCVBUF, buffers.receiveBytes);
      const bound = libc.bind(listener.fd, address.storage.address, address.byteLength);
      checked("bind", bound, endpointText(at));
      checked("listen", libc.listen(listener.fd, 512), endpointText(at));
      return listener;
    } catch (error) {
      listener.close();
      throw error;
    }
  }

  get address(): InternetAddress {
    return addressOf(this.fd, "getsockname");
  }

  /** The next waiting connection, non-blocking; undefined where there is none. */
  accept(): TcpSocket | undefined {
    const fd = acceptDescriptor(this.fd);
    return fd === undefined ? undefined : new TcpSocket(fd);
  }
}

/** `10.0.0.2:4711`, `[fe80::1]:4711`. */
export function endpointText({ host, port }: InternetAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function openStream(family: number): number {
  return checked("socket", libc.socket(family, SocketType.STREAM | O_NONBLOCK | O_CLOEXEC, 0));
}

function addressOf(fd: number, call: "getsockname" | "getpeername"): InternetAddress {
  const storage = NativeBuffer.allocate(SOCKADDR_IN6.size);
  const length = NativeBuffer.allocate(4);
  length.u32[0] = SOCKADDR_IN6.size;
  checked(call, libc[call](fd, storage.address, length.address));
  return unpackInternetAddress(storage);
}

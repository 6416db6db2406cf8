import { constants } from "node:os";
import { type Address, NativeBuffer } from "../runtime/index.ts";
import { MessageFlag, O_CLOEXEC, O_NONBLOCK, SHUT_WR, SocketOption, SOL_SOCKET } from "./constants.ts";
import { checked, lastErrno, LibcError } from "./errors.ts";
import { closeDescriptor, outcome } from "./file-descriptor.ts";
import type { IovecArena } from "./iovec.ts";
import { libc } from "./library.ts";
import { MessageHeader } from "./message-header.ts";

const SEND_FLAGS = MessageFlag.DONTWAIT | MessageFlag.NOSIGNAL;
const scratch = NativeBuffer.allocate(16);
const header = MessageHeader.create();

/**
 * A socket that is never waited for: every call moves what it can and says how much. Counts are bytes; WOULD_BLOCK
 * means poll and come again; a receive of 0 means that the peer has finished sending. Other failures throw LibcError.
 */
export class Socket implements Disposable {
  #fd: number;

  /** Takes over an open, non-blocking descriptor. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** -1 once closed, so that a late call fails with EBADF instead of reaching a descriptor given out since. */
  get fd(): number {
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd === -1;
  }

  send(address: Address, byteLength: number): number {
    for (;;) {
      const sent = outcome("send", libc.send(this.#fd, address, byteLength, SEND_FLAGS));
      if (sent !== undefined) return sent;
    }
  }

  receive(address: Address, byteLength: number): number {
    for (;;) {
      const got = outcome("recv", libc.recv(this.#fd, address, byteLength, MessageFlag.DONTWAIT));
      if (got !== undefined) return got;
    }
  }

  /** Sends from the entries of `arena` from `first` on: one sendmsg(2). */
  sendVector(arena: IovecArena, first: number): number {
    header.setVector(arena.entryAddress(first), arena.count - first);
    for (;;) {
      const sent = outcome("sendmsg", libc.sendmsg(this.#fd, header.address, SEND_FLAGS));
      if (sent !== undefined) return sent;
    }
  }

  /** Receives into the entries of `arena` from `first` on: one recvmsg(2). */
  receiveVector(arena: IovecArena, first: number): number {
    header.setVector(arena.entryAddress(first), arena.count - first);
    for (;;) {
      const got = outcome("recvmsg", libc.recvmsg(this.#fd, header.address, MessageFlag.DONTWAIT));
      if (got !== undefined) return got;
    }
  }

  /** The error of a connection attempt or of the connection (SO_ERROR), once; undefined if there is none. */
  takeError(): LibcError | undefined {
    const errno = this.getOption(SOL_SOCKET, SocketOption.ERROR);
    return errno === 0 ? undefined : new LibcError("connect", errno);
  }

  getOption(level: number, option: number): number {
    scratch.u32[0] = 0;
    scratch.u32[1] = 4;
    checked("getsockopt", libc.getsockopt(this.fd, level, option, scratch.address, scratch.address + 4));
    return scratch.i32[0]!;
  }

  setOption(level: number, option: number, value: number): void {
    scratch.i32[0] = value;
    checked("setsockopt", libc.setsockopt(this.fd, level, option, scratch.address, 4));
  }

  /** Says that nothing more will be sent (shutdown(2)); the peer reads to the end. Receiving goes on. */
  finishSending(): void {
    if (libc.shutdown(this.#fd, SHUT_WR) === -1) {
      const errno = lastErrno();
      if (errno !== constants.errno.ENOTCONN) throw new LibcError("shutdown", errno);
    }
  }

  close(): void {
    const fd = this.#fd;
    if (fd === -1) return;
    this.#fd = -1;
    closeDescriptor(fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** accept4(2), closed on exec and non-blocking; undefined where nobody waits, or who waited has gone again. */
export function acceptDescriptor(fd: number): number | undefined {
  const accepted = libc.accept4(fd, 0, 0, O_NONBLOCK | O_CLOEXEC);
  if (accepted >= 0) return accepted;
  const error = new LibcError("accept4", lastErrno());
  if (PASSING_ERRORS.has(error.code)) return undefined;
  throw error;
}

/** accept(2) "Error handling": errors of the waiting connection that are handed to the listener; try later. */
const PASSING_ERRORS: ReadonlySet<string> = new Set([
  "EAGAIN",
  "EINTR",
  "ECONNABORTED",
  "EPROTO",
  "ENETDOWN",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOPROTOOPT",
  "EOPNOTSUPP",
]);

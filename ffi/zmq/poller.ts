import { constants } from "node:os";
import { NativeBuffer } from "../runtime/index.ts";
import { pollEvents } from "./constants.ts";
import { failure, refusal } from "./errors.ts";
import { libzmq } from "./library.ts";
import type { ZmqSocket } from "./socket.ts";

const { EINTR } = constants.errno;
const { POLLIN, POLLOUT, POLLERR } = pollEvents;
const longestWait = 0x7fff_ffff;

/** zmq_pollitem_t on 64-bit Linux: socket pointer at 0, int fd at 8, short events at 12, short revents at 14. */
const itemBytes = 16;
const fdAt = 8;
const eventsAt = 12;

/** A socket, or a file descriptor of the operating system. */
export type PollHandle = ZmqSocket | number;

export interface PollInterest {
  readonly readable?: boolean;
  readonly writable?: boolean;
}

/**
 * Waits with zmq_poll(3) for any of its sockets and file descriptors; level-triggered. It borrows what it is given:
 * a handle is removed before, or at the latest with, its closing, and a closed socket makes `wait` throw.
 */
export class ZmqPoller {
  readonly #handles: PollHandle[] = [];
  readonly #indexes = new Map<PollHandle, number>();
  #items = NativeBuffer.allocate(8 * itemBytes);

  get size(): number {
    return this.#handles.length;
  }

  add(socket: ZmqSocket, interest: PollInterest): void {
    if (socket.closed) throw refusal("zmq_poll", "ENOTSOCK", `the ${socket.type} socket is closed`);
    this.#insert(socket, socket.unsafeHandle, 0, interest);
  }

  addFd(fd: number, interest: PollInterest): void {
    if (!Number.isInteger(fd) || fd < 0) throw refusal("zmq_poll", "EBADF", `expected a file descriptor, got ${fd}`);
    this.#insert(fd, 0, fd, interest);
  }

  modify(handle: PollHandle, interest: PollInterest): void {
    const index = this.#indexes.get(handle);
    if (index === undefined) throw refusal("zmq_poll", "ENOENT", "the handle is not in the poller");
    this.#setInterest(index, interest);
  }

  /** False if it was not there. */
  remove(handle: PollHandle): boolean {
    const index = this.#indexes.get(handle);
    if (index === undefined) return false;
    this.#indexes.delete(handle);
    const moved = this.#handles.pop()!;
    if (moved === handle) return true;
    const last = this.#handles.length * itemBytes;
    this.#items.bytes.copyWithin(index * itemBytes, last, last + itemBytes);
    this.#handles[index] = moved;
    this.#indexes.set(moved, index);
    return true;
  }

  /**
   * Blocks this thread until a handle is ready or the time is over; how many are ready. Milliseconds, fractions
   * rounded up, so that a wait for a deadline does not spin before it; -1 or Infinity waits for ever, 0 only looks.
   */
  wait(timeoutMs: number): number {
    if (!(timeoutMs >= 0 || timeoutMs === -1)) {
      throw refusal("zmq_poll", "EINVAL", `expected milliseconds, or -1 for ever, got ${timeoutMs}`);
    }
    const forever = timeoutMs === -1 || timeoutMs === Infinity;
    if (forever && this.size === 0) throw refusal("zmq_poll", "EINVAL", "nothing to wait for, for ever");
    this.#checkOpen();
    const { zmq_poll, zmq_errno } = libzmq().symbols;
    const deadline = forever ? Infinity : performance.now() + timeoutMs;
    for (let left = timeoutMs; ; left = Math.max(0, deadline - performance.now())) {
      const ready = zmq_poll(this.#items.address, this.size, forever ? -1 : Math.min(Math.ceil(left), longestWait));
      if (ready >= 0) return ready;
      const errno = zmq_errno();
      if (errno !== EINTR) throw failure("zmq_poll", errno, `of ${this.size} handles`);
    }
  }

  /** Of the latest `wait`. */
  readable(handle: PollHandle): boolean {
    return (this.#ready(handle) & POLLIN) !== 0;
  }

  writable(handle: PollHandle): boolean {
    return (this.#ready(handle) & POLLOUT) !== 0;
  }

  /** File descriptors only: error, hang-up, or not open. A pipe whose writer is gone may be readable as well. */
  failed(handle: PollHandle): boolean {
    return (this.#ready(handle) & POLLERR) !== 0;
  }

  #insert(handle: PollHandle, socket: number, fd: number, interest: PollInterest): void {
    if (this.#indexes.has(handle)) throw refusal("zmq_poll", "EEXIST", "the handle is already in the poller");
    const index = this.#handles.length;
    const start = index * itemBytes;
    if (start === this.#items.byteLength) this.#grow();
    this.#items.setAddress(start, socket);
    this.#items.view.setInt32(start + fdAt, fd, true);
    this.#setInterest(index, interest);
    this.#handles.push(handle);
    this.#indexes.set(handle, index);
  }

  #grow(): void {
    const items = NativeBuffer.allocate(this.#items.byteLength * 2);
    items.bytes.set(this.#items.bytes);
    this.#items = items;
  }

  /** One word: the events below, the revents of an earlier wait above, cleared. */
  #setInterest(index: number, { readable, writable }: PollInterest): void {
    this.#items.u32[(index * itemBytes + eventsAt) >>> 2] = (readable ? POLLIN : 0) | (writable ? POLLOUT : 0);
  }

  #ready(handle: PollHandle): number {
    const index = this.#indexes.get(handle);
    return index === undefined ? 0 : this.#items.u32[(index * itemBytes + eventsAt) >>> 2]! >>> 16;
  }

  /** libzmq would read freed memory. */
  #checkOpen(): void {
    for (const handle of this.#handles) {
      if (typeof handle !== "number" && handle.closed) {
        throw refusal("zmq_poll", "ENOTSOCK", `a ${handle.type} socket in the poller is closed`);
      }
    }
  }
}

import { NativeBuffer } from "../runtime/index.ts";
import { CLOCK_MONOTONIC, O_CLOEXEC, O_NONBLOCK } from "./constants.ts";
import { checked } from "./errors.ts";
import { closeDescriptor, outcome, WOULD_BLOCK } from "./file-descriptor.ts";
import { libc } from "./library.ts";

/** A descriptor that becomes readable when a time has passed: timerfd_create(2), monotonic, non-blocking. */
export class TimerFd implements Disposable {
  readonly fd: number;
  /** struct itimerspec: interval, then first expiry, each in seconds and nanoseconds. */
  readonly #times = NativeBuffer.allocate(32);
  readonly #count = NativeBuffer.allocate(8);
  #closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  static create(): TimerFd {
    return new TimerFd(checked("timerfd_create", libc.timerfd_create(CLOCK_MONOTONIC, O_CLOEXEC | O_NONBLOCK)));
  }

  /** Readable once after `delayMs`, and then every `delayMs`; 0 stops it. */
  repeat(delayMs: number): void {
    const seconds = Math.floor(delayMs / 1_000);
    const nanoseconds = Math.floor((delayMs - seconds * 1_000) * 1_000_000);
    for (const at of [0, 16]) {
      this.#times.setAddress(at, seconds);
      this.#times.setAddress(at + 8, nanoseconds);
    }
    checked("timerfd_settime", libc.timerfd_settime(this.fd, 0, this.#times.address, 0));
  }

  /** Whether the time has passed since the last call. */
  drain(): boolean {
    for (;;) {
      const read = outcome("read", libc.read(this.fd, this.#count.address, 8));
      if (read !== undefined) return read !== WOULD_BLOCK;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeDescriptor(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

import { NativeBuffer } from "../runtime/index.ts";
import { O_CLOEXEC, O_NONBLOCK } from "./constants.ts";
import { checked } from "./errors.ts";
import { closeDescriptor, outcome, WOULD_BLOCK } from "./file-descriptor.ts";
import { libc } from "./library.ts";

/** A counter that wakes whoever polls its descriptor: eventfd(2), non-blocking. Usable from any thread by its `fd`. */
export class EventFd implements Disposable {
  readonly fd: number;
  readonly #word = NativeBuffer.allocate(8);
  readonly #owned: boolean;
  #closed = false;

  private constructor(fd: number, owned: boolean) {
    this.fd = fd;
    this.#owned = owned;
  }

  static create(): EventFd {
    return new EventFd(checked("eventfd", libc.eventfd(0, O_CLOEXEC | O_NONBLOCK)), true);
  }

  /** The eventfd that another thread made and will close. */
  static borrow(fd: number): EventFd {
    return new EventFd(fd, false);
  }

  /** Adds one: the descriptor becomes readable. A full counter is as good as woken. */
  signal(): void {
    this.#word.u32[0] = 1;
    this.#word.u32[1] = 0;
    while (outcome("write", libc.write(this.fd, this.#word.address, 8)) === undefined);
  }

  /** Takes the count back to 0 and says whether it was above. */
  drain(): boolean {
    for (;;) {
      const read = outcome("read", libc.read(this.fd, this.#word.address, 8));
      if (read !== undefined) return read !== WOULD_BLOCK;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#owned) closeDescriptor(this.fd);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

import { SYS_PIDFD_OPEN } from "./constants.ts";
import { checked } from "./errors.ts";
import { closeDescriptor } from "./file-descriptor.ts";
import { libc } from "./library.ts";

/** A process that cannot be mistaken for a later one of the same number: pidfd_open(2). Readable once it has ended. */
export class PidFd implements Disposable {
  readonly pid: number;
  readonly fd: number;
  #closed = false;

  private constructor(pid: number, fd: number) {
    this.pid = pid;
    this.fd = fd;
  }

  /** Throws LibcError ESRCH where there is no such process. */
  static open(pid: number): PidFd {
    return new PidFd(pid, checked("pidfd_open", Number(libc.syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0)), `process ${pid}`));
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

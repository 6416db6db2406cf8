import { constants } from "node:os";
import type { Address } from "../runtime/index.ts";
import { lastErrno, LibcError } from "./errors.ts";
import { IovecArena } from "./iovec.ts";
import { libc } from "./library.ts";

/**
 * Writes into another process's memory: process_vm_writev(2), up to 1,024 places a call. Queue with {@link add} until
 * it says the batch is full, then {@link flush}. Needs the right to trace the process (ptrace(2), yama).
 */
export class ProcessMemory {
  readonly pid: number;
  readonly #local = IovecArena.allocate();
  readonly #remote = IovecArena.allocate();

  constructor(pid: number) {
    this.pid = pid;
  }

  /** Bytes queued and not yet written. */
  get pending(): number {
    return this.#remote.bytes;
  }

  /** Queues one copy; neighbours on either side become one entry. False: the batch is full, flush and add again. */
  add(source: Address, destination: Address, byteLength: number): boolean {
    if (this.#local.count === this.#local.capacity || this.#remote.count === this.#remote.capacity) return false;
    this.#local.extend(source, byteLength);
    this.#remote.extend(destination, byteLength);
    return true;
  }

  /** Forgets what is queued. */
  clear(): void {
    this.#local.clear();
    this.#remote.clear();
  }

  /**
   * Writes everything queued. Throws LibcError: EPERM without the right, ESRCH when the process is gone, EFAULT where a
   * place is not mapped on either side; what was before that place may have been written.
   */
  flush(): void {
    const local = this.#local;
    const remote = this.#remote;
    let localFirst = 0;
    let remoteFirst = 0;
    try {
      while (remote.bytes > 0) {
        const written = libc.process_vm_writev(
          this.pid,
          local.entryAddress(localFirst),
          local.count - localFirst,
          remote.entryAddress(remoteFirst),
          remote.count - remoteFirst,
          0,
        );
        if (written > 0) {
          // A short count is legal: the kernel stops at the first place it cannot reach, the next call says why.
          localFirst = local.advance(localFirst, written);
          remoteFirst = remote.advance(remoteFirst, written);
          continue;
        }
        const errno = written === 0 ? constants.errno.EFAULT : lastErrno();
        if (errno !== constants.errno.EINTR) throw new LibcError("process_vm_writev", errno, `process ${this.pid}`);
      }
    } finally {
      this.clear();
    }
  }
}

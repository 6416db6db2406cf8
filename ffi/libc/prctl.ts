import { constants } from "node:os";
import { PR_SET_PTRACER } from "./constants.ts";
import { lastErrno, LibcError } from "./errors.ts";
import { libc } from "./library.ts";

/**
 * Lets `pid` and its descendants trace this process, hence write into its memory, where yama restricts that to
 * ancestors (kernel.yama.ptrace_scope 1; prctl(2) PR_SET_PTRACER). One process at a time: a later call replaces it.
 * False where the kernel has no yama, so that nothing needs to be allowed.
 */
export function allowTracer(pid: number): boolean {
  if (libc.prctl(PR_SET_PTRACER, pid, 0, 0, 0) === 0) return true;
  const errno = lastErrno();
  if (errno === constants.errno.EINVAL) return false;
  throw new LibcError("prctl(PR_SET_PTRACER)", errno, `process ${pid}`);
}

/** PR_SET_PTRACER_ANY: every process of the same user. */
export const ANY_PROCESS = -1;

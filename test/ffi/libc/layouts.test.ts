import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import * as values from "../../../ffi/libc/constants.ts";
import { CMSGHDR } from "../../../ffi/libc/control-message.ts";
import { MSGHDR } from "../../../ffi/libc/message-header.ts";
import { SCHED_ATTR } from "../../../ffi/libc/scheduling.ts";
import { ADDRINFO, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_UN } from "../../../ffi/libc/socket-address.ts";

const compiler = Bun.which("cc") ?? Bun.which("gcc");

/** What the C compiler must print, expression by expression. */
const expected: Record<string, number> = {
  "offsetof(struct msghdr, msg_iov)": MSGHDR.iov,
  "offsetof(struct msghdr, msg_iovlen)": MSGHDR.iovlen,
  "offsetof(struct msghdr, msg_control)": MSGHDR.control,
  "offsetof(struct msghdr, msg_controllen)": MSGHDR.controllen,
  "offsetof(struct msghdr, msg_flags)": MSGHDR.flags,
  "sizeof(struct msghdr)": MSGHDR.size,
  "offsetof(struct cmsghdr, cmsg_level)": CMSGHDR.level,
  "offsetof(struct cmsghdr, cmsg_type)": CMSGHDR.type,
  "sizeof(struct cmsghdr)": CMSGHDR.size,
  "offsetof(struct iovec, iov_len)": 8,
  "sizeof(struct iovec)": 16,
  "offsetof(struct pollfd, events)": 4,
  "offsetof(struct pollfd, revents)": 6,
  "sizeof(struct pollfd)": 8,
  "sizeof(struct ucred)": 12,
  "offsetof(struct sockaddr_in, sin_port)": SOCKADDR_IN.port,
  "offsetof(struct sockaddr_in, sin_addr)": SOCKADDR_IN.address,
  "sizeof(struct sockaddr_in)": SOCKADDR_IN.size,
  "offsetof(struct sockaddr_in6, sin6_addr)": SOCKADDR_IN6.address,
  "sizeof(struct sockaddr_in6)": SOCKADDR_IN6.size,
  "offsetof(struct sockaddr_un, sun_path)": SOCKADDR_UN.path,
  "sizeof(struct sockaddr_un)": SOCKADDR_UN.size,
  "offsetof(struct addrinfo, ai_family)": ADDRINFO.family,
  "offsetof(struct addrinfo, ai_addr)": ADDRINFO.addr,
  "sizeof(struct addrinfo)": ADDRINFO.size,
  MAP_SHARED: values.MapFlag.SHARED,
  MAP_PRIVATE: values.MapFlag.PRIVATE,
  MAP_FIXED: values.MapFlag.FIXED,
  MAP_ANONYMOUS: values.MapFlag.ANONYMOUS,
  MAP_NORESERVE: values.MapFlag.NORESERVE,
  MADV_HUGEPAGE: values.Advice.HUGEPAGE,
  MADV_NOHUGEPAGE: values.Advice.NOHUGEPAGE,
  MFD_CLOEXEC: values.MFD_CLOEXEC,
  MFD_ALLOW_SEALING: values.MFD_ALLOW_SEALING,
  F_ADD_SEALS: values.Fcntl.F_ADD_SEALS,
  F_GET_SEALS: values.Fcntl.F_GET_SEALS,
  F_SEAL_SEAL: values.Seal.SEAL,
  F_SEAL_SHRINK: values.Seal.SHRINK,
  F_SEAL_GROW: values.Seal.GROW,
  SHUT_WR: values.SHUT_WR,
  F_DUPFD_CLOEXEC: values.Fcntl.F_DUPFD_CLOEXEC,
  O_NONBLOCK: values.O_NONBLOCK,
  O_CLOEXEC: values.O_CLOEXEC,
  AF_INET6: values.AddressFamily.INET6,
  SOCK_SEQPACKET: values.SocketType.SEQPACKET,
  SOL_SOCKET: values.SOL_SOCKET,
  SO_REUSEADDR: values.SocketOption.REUSEADDR,
  SO_ERROR: values.SocketOption.ERROR,
  SO_SNDBUF: values.SocketOption.SNDBUF,
  SO_RCVBUF: values.SocketOption.RCVBUF,
  SO_KEEPALIVE: values.SocketOption.KEEPALIVE,
  SO_PEERCRED: values.SocketOption.PEERCRED,
  TCP_NODELAY: values.TcpOption.NODELAY,
  TCP_KEEPIDLE: values.TcpOption.KEEPIDLE,
  TCP_KEEPINTVL: values.TcpOption.KEEPINTVL,
  TCP_KEEPCNT: values.TcpOption.KEEPCNT,
  TCP_USER_TIMEOUT: values.TcpOption.USER_TIMEOUT,
  IPV6_V6ONLY: values.IPV6_V6ONLY,
  MSG_DONTWAIT: values.MessageFlag.DONTWAIT,
  MSG_NOSIGNAL: values.MessageFlag.NOSIGNAL,
  MSG_CMSG_CLOEXEC: values.MessageFlag.CMSG_CLOEXEC,
  MSG_TRUNC: values.MessageFlag.TRUNC,
  SCM_RIGHTS: values.SCM_RIGHTS,
  PR_SET_PTRACER: values.PR_SET_PTRACER,
  SYS_pidfd_open: values.SYS_PIDFD_OPEN,
  SYS_sched_setattr: values.SYS_SCHED_SETATTR,
  SYS_sched_getattr: values.SYS_SCHED_GETATTR,
  SCHED_NORMAL: values.SCHED_OTHER,
  PRIO_PROCESS: values.PRIO_PROCESS,
  "offsetof(struct sched_attr, sched_policy)": SCHED_ATTR.policy,
  "offsetof(struct sched_attr, sched_nice)": SCHED_ATTR.nice,
  "offsetof(struct sched_attr, sched_runtime)": SCHED_ATTR.runtime,
  SCHED_ATTR_SIZE_VER0: SCHED_ATTR.size,
  POLLIN: values.PollEvent.IN,
  POLLOUT: values.PollEvent.OUT,
  POLLERR: values.PollEvent.ERR,
  POLLHUP: values.PollEvent.HUP,
  EAGAIN: constants.errno.EAGAIN,
  EINPROGRESS: constants.errno.EINPROGRESS,
};

test.skipIf(compiler === null)(
  `struct offsets and constants are the system headers' (${compiler ?? "no C compiler: skipped"})`,
  async () => {
    const headers =
      "stddef stdio errno fcntl netdb poll unistd sys/mman sys/socket sys/un sys/uio sys/prctl sys/syscall sys/resource linux/sched linux/sched/types netinet/in netinet/tcp";
    const program = [
      "#define _GNU_SOURCE",
      ...headers.split(" ").map((header) => `#include <${header}.h>`),
      "int main(void) {",
      ...Object.keys(expected).map((expression) => `printf("%ld\\n", (long)(${expression}));`),
      "return 0; }",
    ].join("\n");
    const folder = mkdtempSync(join(tmpdir(), "kvwire-layouts-"));
    try {
      await Bun.write(join(folder, "layouts.c"), program);
      const built = Bun.spawnSync([compiler!, "layouts.c", "-o", "layouts"], { cwd: folder });
      expect(built.stderr.toString()).toBe("");
      const printed = Bun.spawnSync([join(folder, "layouts")])
        .stdout.toString()
        .trim()
        .split("\n")
        .map(Number);
      expect(Object.fromEntries(Object.keys(expected).map((expression, i) => [expression, printed[i]!]))).toEqual(
        expected,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

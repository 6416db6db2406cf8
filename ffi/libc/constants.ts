/** Values of Linux on x86-64 and aarch64, where they agree, by the header that defines them. @module */

/** sys/mman.h */
export const Protection = { NONE: 0, READ: 1, WRITE: 2 } as const;
export const MapFlag = { SHARED: 0x01, PRIVATE: 0x02, FIXED: 0x10, ANONYMOUS: 0x20, NORESERVE: 0x4000 } as const;
export const Advice = { HUGEPAGE: 14, NOHUGEPAGE: 15, POPULATE_WRITE: 23, COLLAPSE: 25 } as const;
export const MFD_CLOEXEC = 1;
export const MFD_ALLOW_SEALING = 2;

/** fcntl.h */
export const Fcntl = {
  F_GETFD: 1,
  F_GETFL: 3,
  F_SETFL: 4,
  F_DUPFD_CLOEXEC: 1030,
  F_ADD_SEALS: 1033,
  F_GET_SEALS: 1034,
} as const;
export const Seal = { SEAL: 1, SHRINK: 2, GROW: 4 } as const;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;

/** time.h */
export const CLOCK_MONOTONIC = 1;

/** sys/socket.h, netinet/in.h, netinet/tcp.h */
export const AddressFamily = { UNIX: 1, INET: 2, INET6: 10 } as const;
export const SocketType = { STREAM: 1, DGRAM: 2, SEQPACKET: 5 } as const;
export const SOL_SOCKET = 1;
export const SocketOption = { REUSEADDR: 2, ERROR: 4, SNDBUF: 7, RCVBUF: 8, KEEPALIVE: 9, PEERCRED: 17 } as const;
export const IPPROTO_TCP = 6;
export const TcpOption = {
  NODELAY: 1,
  KEEPIDLE: 4,
  KEEPINTVL: 5,
  KEEPCNT: 6,
  WINDOW_CLAMP: 10,
  USER_TIMEOUT: 18,
  NOTSENT_LOWAT: 25,
} as const;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const MessageFlag = {
  DONTWAIT: 0x40,
  NOSIGNAL: 0x4000,
  CMSG_CLOEXEC: 0x40000000,
  CTRUNC: 0x08,
  TRUNC: 0x20,
} as const;
export const SHUT_WR = 1;
export const SCM_RIGHTS = 1;
/** net/scm.h: descriptors that one message may carry. */
export const SCM_MAX_FD = 253;

/** limits.h: entries that one vectored call may take. */
export const IOV_MAX = 1024;

/** poll.h */
export const PollEvent = { IN: 0x01, OUT: 0x04, ERR: 0x08, HUP: 0x10, NVAL: 0x20 } as const;

/** sys/prctl.h */
export const PR_SET_PTRACER = 0x59616d61;

/** asm-generic/unistd.h; the same number on x86-64. */
export const SYS_PIDFD_OPEN = 434;
/** asm/unistd.h, where they differ. */
export const [SYS_SCHED_SETATTR, SYS_SCHED_GETATTR] = process.arch === "arm64" ? [274, 275] : [314, 315];

/** sched.h, sys/resource.h */
export const SCHED_OTHER = 0;
export const PRIO_PROCESS = 0;

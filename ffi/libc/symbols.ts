import type { SymbolTable } from "../runtime/index.ts";

/**
 * The C functions used here, by header. Variadic ones (fcntl, prctl) are declared with the arguments that are passed:
 * on Linux x86-64 and aarch64 integers travel in the same registers either way. `mmap` gives an i64 because MAP_FAILED
 * is -1, which is no address.
 */
export const libcSymbols = {
  // errno.h
  __errno_location: { parameters: [], result: "pointer" },
  // unistd.h, fcntl.h
  close: { parameters: ["i32"], result: "i32" },
  read: { parameters: ["i32", "pointer", "usize"], result: "isize" },
  write: { parameters: ["i32", "pointer", "usize"], result: "isize" },
  fcntl: { parameters: ["i32", "i32", "i64"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  // sys/mman.h, string.h
  mmap: { parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"], result: "i64" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" },
  memfd_create: { parameters: ["cstring", "u32"], result: "i32" },
  memcpy: { parameters: ["pointer", "pointer", "usize"], result: "pointer" },
  // sys/uio.h, sys/prctl.h, sys/eventfd.h, sys/timerfd.h, sched.h, poll.h
  process_vm_writev: { parameters: ["i32", "pointer", "u64", "pointer", "u64", "u64"], result: "isize" },
  process_vm_readv: { parameters: ["i32", "pointer", "u64", "pointer", "u64", "u64"], result: "isize" },
  prctl: { parameters: ["i32", "i64", "i64", "i64", "i64"], result: "i32" },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  timerfd_create: { parameters: ["i32", "i32"], result: "i32" },
  timerfd_settime: { parameters: ["i32", "i32", "pointer", "pointer"], result: "i32" },
  sched_yield: { parameters: [], result: "i32" },
  // sys/resource.h
  setpriority: { parameters: ["i32", "u32", "i32"], result: "i32" },
  poll: { parameters: ["pointer", "u64", "i32"], result: "i32" },
  // sys/syscall.h: for what has no wrapper, or only in a late glibc (pidfd_open 2.36, sched_setattr 2.41)
  syscall: { parameters: ["i64", "i64", "i64", "i64", "i64"], result: "i64" },
  // sys/socket.h, arpa/inet.h
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  accept4: { parameters: ["i32", "pointer", "pointer", "i32"], result: "i32" },
  connect: { parameters: ["i32", "pointer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  getpeername: { parameters: ["i32", "pointer", "pointer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "pointer", "pointer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "pointer", "u32"], result: "i32" },
  send: { parameters: ["i32", "pointer", "usize", "i32"], result: "isize" },
  recv: { parameters: ["i32", "pointer", "usize", "i32"], result: "isize" },
  sendmsg: { parameters: ["i32", "pointer", "i32"], result: "isize" },
  recvmsg: { parameters: ["i32", "pointer", "i32"], result: "isize" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  inet_pton: { parameters: ["i32", "cstring", "pointer"], result: "i32" },
  inet_ntop: { parameters: ["i32", "pointer", "pointer", "u32"], result: "pointer" },
  // netdb.h
  getaddrinfo: { parameters: ["cstring", "pointer", "pointer", "pointer"], result: "i32" },
  freeaddrinfo: { parameters: ["pointer"], result: "void" },
} as const satisfies SymbolTable;

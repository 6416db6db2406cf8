/** The C library as it is: memory mappings, descriptors, sockets and writes into other processes. Linux, 64-bit. @module */
export { PollEvent } from "./constants.ts";
export { errnoName, LibcError } from "./errors.ts";
export { EventFd } from "./eventfd.ts";
export {
  closeDescriptor,
  duplicateDescriptor,
  isOpenDescriptor,
  setNonBlocking,
  WOULD_BLOCK,
} from "./file-descriptor.ts";
export { IovecArena } from "./iovec.ts";
export { libc } from "./library.ts";
export { HUGE_PAGE_BYTES, Mapping, type MappingLease, type MappingOptions, PAGE_BYTES } from "./mapping.ts";
export { unsafeCopy } from "./memory-copy.ts";
export { PidFd } from "./pidfd.ts";
export { PollSet } from "./poll.ts";
export { allowTracer, ANY_PROCESS } from "./prctl.ts";
export { ProcessMemory } from "./process-memory.ts";
export { yieldProcessor } from "./processor.ts";
export { listThreads, setNice, setTimeSlice, type ThreadEntry, timeSlice } from "./scheduling.ts";
export { findSharedMapping, type MemoryShare } from "./shared-mappings.ts";
export { localAddressToward } from "./route.ts";
export { Socket } from "./socket.ts";
export { type InternetAddress, resolveHost } from "./socket-address.ts";
export { endpointText, type KeepAlive, TcpListener, TcpSocket } from "./tcp-socket.ts";
export { TimerFd } from "./timerfd.ts";
export { type PeerCredentials, type ReceivedPacket, UnixListener, UnixSocket } from "./unix-socket.ts";

/** Same host, shared memory: the receiver hands over its memfds, the sender copies. @module */
export { createShmTransport } from "./shm-transport.ts";

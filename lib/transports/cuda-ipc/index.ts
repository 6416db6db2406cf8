/** Same host, pages in GPU memory: the sender writes into the receiver's memory, mapped by its IPC handle. @module */
export { createCudaIpcTransport } from "./cuda-ipc-transport.ts";

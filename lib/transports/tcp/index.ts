/** Sockets between any two hosts. @module */
export { createTcpTransport } from "./tcp-transport.ts";

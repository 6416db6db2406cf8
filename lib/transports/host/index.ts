/** What shm and cma share: the pair's unix socket, the handshake with its proof, turns, notification and fence. @module */
export { HostTransport, type HostTransportOptions } from "./host-transport.ts";
export type { GrantedRegion, PageWriter, PageWriterFactory } from "./page-writer.ts";

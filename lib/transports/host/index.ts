/** What the transports of one host share: the pair's unix socket, the handshake with its proof, turns, notification and fence. @module */
export { HostTransport, type HostTransportOptions } from "./host-transport.ts";
export { type ExposedMemory, HostMemory, type Place, type Scratch } from "./exposed-memory.ts";
export { MappedRegions } from "./mapped-regions.ts";
export { CopyingWriter, type GrantedRegion, type PageWriter, type PageWriterFactory } from "./page-writer.ts";

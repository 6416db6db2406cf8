export type { Connection, ReceivedRequest } from "./connection.ts";
export { Listener } from "./listener.ts";
export { RelayedRequest } from "./relayed-request.ts";

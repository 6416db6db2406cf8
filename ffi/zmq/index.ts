/** libzmq 4.3: contexts, sockets, a poller, CURVE keys. @module */
export { pollEvents, type ZmqSocketType } from "./constants.ts";
export { ZmqContext, type ZmqContextOptions } from "./context.ts";
export { type CurveKeypair, curveKeypair, curvePublic, z85Decode, z85Encode } from "./curve.ts";
export { ZmqError } from "./errors.ts";
export { hasCapability, zmqLibraryPath, zmqVersion } from "./library.ts";
export type { MessageOrigin } from "./message.ts";
export { type PollHandle, type PollInterest, ZmqPoller } from "./poller.ts";
export { ZmqSocket, type ZmqSocketOwner } from "./socket.ts";
export type { ZmqCurve, ZmqSocketOptions } from "./socket-options.ts";

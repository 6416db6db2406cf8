/** What transports share: queues of batches, walking a plan, connections that have yet to show their token. @module */
export { carriedBytes, packFrames, unpackFrames } from "./carried-frames.ts";
export { PairErrors } from "./errors.ts";
export { type Greeting, Lobby, type LobbyContext } from "./lobby.ts";
export { type GroupRange, PlanCursor, type SegmentSink } from "./plan-cursor.ts";
export { QueuedBatch } from "./queued-batch.ts";
export { RevokedRooms } from "./revoked-rooms.ts";
export { RoomQueue } from "./room-queue.ts";
export { randomToken, tokenSchema } from "./token.ts";

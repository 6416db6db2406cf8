export { KVPoll, pollName } from "./poll.ts";
export { MAX_SLOTS, type RoomFigures, RoomTable, type SlotRef, tagToRef, toTag } from "./room-table.ts";

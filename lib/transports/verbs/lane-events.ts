import type { RoomTag } from "../transport.ts";
import type { Lane } from "./lane.ts";
import type { Message } from "./messages.ts";

/** What a lane reports to the end of the pair that it belongs to. */
export interface LaneEvents {
  /** Something came from the peer's process. */
  heard(): void;
  message(lane: Lane, message: Message): void;
  /** The peer's write with this immediate has landed, and all its writes on this lane before. */
  notified(lane: Lane, tag: RoomTag): void;
  /** The queue pair is of no use any more. `status` is the native status by name. */
  failed(lane: Lane, status: string, message: string): void;
  /** Its port is down: nothing has failed yet, but who has another lane had better take that. */
  faltered(lane: Lane, status: string, message: string): void;
}

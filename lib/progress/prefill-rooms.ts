import type { RelayedHeaders } from "../protocol/index.ts";
import type { WriteBatch } from "../transports/transport.ts";
import type { OutboundPair } from "./outbound-pair.ts";
import type { RoomRecord } from "./room-book.ts";

/** A sender's room in the progress thread. */
export interface SenderRoom extends RoomRecord {
  /** What `init` gave: undefined until then. */
  source: { readonly auxIndex: number; readonly pages: Int32Array<ArrayBuffer> } | undefined;
  /** How many of `source.pages` the engine has given. */
  supplied: number;
  /** All pages were given and the aux slot is filled: `send` has been called for the last time. */
  complete: boolean;
  /** Batches of the room under way, since when there are any, and for how long there were (ms). */
  inFlight: number;
  writingSince: number;
  writingMs: number;
  /** The decode ranks that want this room's pages, by pair. */
  readonly destinations: Map<OutboundPair, Destination>;
}

/** One decode rank, as a room's sender sees it. */
export interface Destination {
  readonly pair: OutboundPair;
  readonly room: RelayedHeaders["room"];
  readonly pages: Int32Array<ArrayBuffer>;
  /** How many pages are in batches already, and in how many batches that have not ended. */
  planned: number;
  readonly inFlight: Set<WriteBatch>;
  bytes: number;
  lastQueued: boolean;
  done: boolean;
}

/** Room infos that came before the engine made the sender. */
export interface EarlyRoom {
  readonly destinations: Map<OutboundPair, Destination>;
  readonly deadlineAt: number;
}

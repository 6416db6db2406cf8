import type { RoomRecord } from "./room-book.ts";
import type { InboundPair } from "./inbound-pair.ts";
import type { RegistryLink } from "./registry-link.ts";

/** A receiver's room in the progress thread. */
export interface ReceiverRoom extends RoomRecord {
  readonly bootstrapAddr: string;
  /** The registry at that address: undefined until it is dialled. */
  link: RegistryLink | undefined;
  /** What `init` gave: undefined until then. */
  destination:
    | {
        readonly pages: Int32Array<ArrayBuffer>;
        readonly auxIndex: number;
        readonly decodePrefixTokens: number;
        readonly prefillDpRank: number | undefined;
      }
    | undefined;
  /** The prefill ranks' ends: undefined until all of those ranks are known. */
  sources: readonly RoomSource[] | undefined;
  /** How many sources must report their last byte. */
  completions: number;
  /** The sources know our pages: writes may land. */
  announced: boolean;
  readonly arrived: Set<InboundPair>;
  bytes: number;
  /** Pairs by which a write could still land although the room has failed. */
  readonly fences: Set<InboundPair>;
}

/** One prefill rank, as a room's receiver sees it. */
export interface RoomSource {
  readonly pair: InboundPair;
  readonly dummy: boolean;
  /** Decode ranks that this prefill rank must hear of the room from. */
  readonly infos: number;
}

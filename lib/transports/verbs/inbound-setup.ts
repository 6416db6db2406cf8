import type { PairErrors } from "../pairs/index.ts";
import type { InboundEvents, TransportData } from "../transport.ts";
import type { Alarms } from "./alarms.ts";
import type { Lane } from "./lane.ts";
import type { LaneEvents } from "./lane-events.ts";

/** What the receiver's end of a pair is made of. */
export interface InboundSetup {
  readonly errors: PairErrors;
  readonly events: InboundEvents;
  readonly alarms: Alarms;
  readonly now: () => number;
  readonly fenceGraceMs: number;
  readonly rejoinMs: number;
  /** Whether rooms have keys of their own, on one rail at least. */
  readonly takesKeys: boolean;
  /** How many lanes a whole pair has. */
  readonly places: number;
  /** As many of them as can be had now, one at least. */
  openLanes(events: LaneEvents): readonly Lane[];
  /** @throws where it cannot be had. */
  openLane(events: LaneEvents, name: { readonly id: number; readonly place: number }): Lane;
  describeOffer(lanes: readonly Lane[]): TransportData;
  /** Says good-bye, then closes. */
  dismiss(lanes: readonly Lane[]): void;
}

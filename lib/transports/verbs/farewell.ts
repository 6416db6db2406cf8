import type { Alarms } from "./alarms.ts";
import type { Lane } from "./lane.ts";
import type { LaneEvents } from "./lane-events.ts";
import { MessageType } from "./messages.ts";

const PATIENCE_MS = 1_000;

/** Lanes of closed pairs that tell the peer so before they go. Nothing but that message is under way on them. */
export class Farewell {
  readonly #alarms: Alarms;

  constructor(alarms: Alarms) {
    this.#alarms = alarms;
  }

  dismiss(lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      const stopWaiting = this.#alarms.after(PATIENCE_MS, () => lane.close());
      const close = (): void => {
        stopWaiting();
        lane.close();
      };
      lane.events = new Deaf(close);
      lane.say({ type: MessageType.BYE }, { pending: 0, landed: close });
    }
  }
}

/** What the peer still says interests nobody. */
class Deaf implements LaneEvents {
  readonly failed: () => void;

  constructor(close: () => void) {
    this.failed = close;
  }

  heard(): void {}
  message(): void {}
  notified(): void {}
  faltered(): void {}
}

import type { Alarms } from "./alarms.ts";
import type { Lane } from "./lane.ts";
import type { LaneEvents } from "./lane-events.ts";
import { MessageType } from "./messages.ts";

const PATIENCE_MS = 1_000;

/** Lanes of closed pairs that tell the peer so before they go. Nothing but that message is under way on them. */
export class Farewell {
  readonly #alarms: Alarms;
  readonly #leaving = new Set<Lane>();

  constructor(alarms: Alarms) {
    this.#alarms = alarms;
  }

  get size(): number {
    return this.#leaving.size;
  }

  dismiss(lanes: readonly Lane[]): void {
    for (const lane of lanes) {
      const close = (): void => {
        stopWaiting();
        this.#leaving.delete(lane);
        lane.close();
      };
      const stopWaiting = this.#alarms.after(PATIENCE_MS, close);
      this.#leaving.add(lane);
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

import type { Lane } from "./lane.ts";

/** The lanes of one end of a pair, from their joining to their end. */
export class LaneSet {
  /** What may be used, in the order of joining. */
  readonly live: Lane[] = [];
  /** Made, but the path has not been proven. */
  readonly joining = new Set<Lane>();
  /** Let nothing in any more, but may have something left to report. */
  readonly leaving = new Set<Lane>();

  /** The one to say things on that concern the whole pair. */
  get voice(): Lane | undefined {
    return this.live[0];
  }

  /** All by which something can come. */
  get open(): readonly Lane[] {
    return [...this.live, ...this.joining];
  }

  find(id: number): Lane | undefined {
    return this.open.find((lane) => lane.id === id);
  }

  /** Whether a place has a lane, or had one until a moment ago. */
  holds(place: number): boolean {
    return [...this.open, ...this.leaving].some((lane) => lane.place === place);
  }

  /** The path is proven. False: it was given up in the meantime. */
  join(lane: Lane): boolean {
    if (!this.joining.delete(lane)) return false;
    this.live.push(lane);
    return true;
  }

  /** Takes it out of use. False: it was already. */
  remove(lane: Lane): boolean {
    const index = this.live.indexOf(lane);
    if (index < 0) return this.joining.delete(lane);
    this.live.splice(index, 1);
    return true;
  }

  /** Whether the pair can do without the lane: another one can be used. */
  hasOther(lane: Lane): boolean {
    return this.live.some((other) => other !== lane);
  }

  /** As {@link hasOther}, on another rail. */
  hasOtherRail(lane: Lane): boolean {
    return this.live.some((other) => other.rail !== lane.rail);
  }

  close(): void {
    for (const lane of [...this.open, ...this.leaving]) lane.close();
    this.live.length = 0;
    this.joining.clear();
    this.leaving.clear();
  }
}

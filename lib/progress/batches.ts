import { KVTransferError } from "../errors.ts";
import { emptyPlan, type KVLayout, planAux, planPages, type WritePlan } from "../planner/index.ts";
import type { OutboundEnd, WriteBatch } from "../transports/transport.ts";
import type { ProgressDependencies } from "./dependencies.ts";
import type { OutboundPair } from "./outbound-pair.ts";
import type { Destination, SenderRoom } from "./prefill-rooms.ts";

/** A room's first batch is small, so that the first bytes move at once; each later one may be larger than all before it. */
export const FIRST_BYTES = 32 * 1024 * 1024;
/** Planned at a time for one room and peer, so that planning a large room holds up nothing else: it costs by the runs of a buffer. */
const RUNS_PER_BATCH = 1_024;
/** The same for the writes in all buffers, unless whoever makes them repeats them by itself. */
const WRITES_PER_BATCH = 8_192;
const BATCHES_IN_FLIGHT = 2;

interface Flight {
  readonly room: SenderRoom;
  readonly destination: Destination;
}

/** Turns a room's pages into batches of writes, a few at a time, and knows which batches are under way. */
export class Batches {
  readonly #layout: KVLayout;
  readonly #now: () => number;
  readonly #firstPages: number;
  readonly #flights = new Map<WriteBatch, Flight>();

  constructor({ self, now }: ProgressDependencies) {
    this.#layout = self.layout;
    this.#now = now;
    const pageBytes = self.layout.buffers.reduce((sum, { itemBytes }) => sum + itemBytes, 0);
    this.#firstPages = Math.ceil(FIRST_BYTES / pageBytes);
  }

  /**
   * Queues what may be written to one decode rank now.
   * @throws {PlanError | KVTransferError} where the two sides disagree on layouts or pages, or the pair is gone
   */
  pump(room: SenderRoom, source: NonNullable<SenderRoom["source"]>, destination: Destination): void {
    const { pages: from, auxIndex } = source;
    const { pages: to, pair } = destination;
    if (destination.room.dummy) {
      destination.done = room.complete;
      return;
    }
    if (from.length !== to.length) {
      const message = `prefill has ${from.length} pages for the room, decode made room for ${to.length}`;
      throw new KVTransferError("REJECTED", message);
    }
    const end = pair.end;
    if (!end) throw new KVTransferError("PEER_LOST", "the pair is not connected", { peer: pair.peer });
    const limit = pagesPerBatch(this.#layout, pair.member.layout, end);
    while (destination.inFlight.size < BATCHES_IN_FLIGHT && !destination.lastQueued) {
      const pages = Math.min(limit, destination.planned + this.#firstPages);
      const until = endOfBatch(from, to, destination.planned, room.supplied, pages);
      const last = room.complete && until === from.length;
      if (until === destination.planned && !last) return;
      const plan = planPages({
        ...this.#sides(pair, end),
        sourcePages: from.subarray(destination.planned, until),
        destinationPages: to.subarray(destination.planned, until),
        gatherLimit: end.gatherLimit,
      });
      destination.planned = until;
      this.#launch(room, destination, end, plan, last ? auxIndex : undefined);
    }
  }

  /** A batch has ended, well or not; undefined if it is not one of ours. */
  land(batch: WriteBatch): Flight | undefined {
    const flight = this.#flights.get(batch);
    if (!flight) return undefined;
    this.#flights.delete(batch);
    const { room, destination } = flight;
    destination.inFlight.delete(batch);
    if (--room.inFlight === 0) room.writingMs += this.#now() - room.writingSince;
    return flight;
  }

  #launch(
    room: SenderRoom,
    destination: Destination,
    end: OutboundEnd,
    plan: WritePlan,
    auxIndex: number | undefined,
  ): void {
    const { tag, auxIndex: destinationIndex } = destination.room;
    let batch: WriteBatch = { tag, plan };
    if (auxIndex !== undefined) {
      const aux = destination.pair.sendsAux
        ? planAux({ ...this.#sides(destination.pair, end), sourceIndex: auxIndex, destinationIndex })
        : emptyPlan;
      destination.lastQueued = true;
      const before = [...destination.inFlight].reduce((sum, each) => sum + each.plan.bytes, destination.bytes);
      batch = { tag, plan, last: { aux, totalBytes: before + plan.bytes + aux.bytes } };
    }
    destination.inFlight.add(batch);
    if (room.inFlight++ === 0) room.writingSince = this.#now();
    this.#flights.set(batch, { room, destination });
    end.write(batch);
  }

  #sides(pair: OutboundPair, end: OutboundEnd) {
    const both = { source: this.#layout, destination: pair.member.layout };
    return end.destinationBases ? { ...both, destinationBases: end.destinationBases } : both;
  }
}

/** Where the batch ends that begins at page `start` of the list: runs are not cut, since the rest of a run costs nothing. */
function endOfBatch(from: Int32Array, to: Int32Array, start: number, supplied: number, pages: number): number {
  let end = Math.min(supplied, start + pages);
  if (end > start) while (end < supplied && from[end] === from[end - 1]! + 1 && to[end] === to[end - 1]! + 1) end++;
  return end;
}

/** Pages of one batch; where heads are sliced, every token is a write. */
function pagesPerBatch(source: KVLayout, destination: KVLayout, { repeatsGroups }: OutboundEnd): number {
  const perBuffer = source.kvHeads === destination.kvHeads ? 1 : source.pageSize;
  const byRuns = RUNS_PER_BATCH / perBuffer;
  const byWrites = repeatsGroups ? Infinity : WRITES_PER_BATCH / (perBuffer * source.buffers.length);
  return Math.max(1, Math.floor(Math.min(byRuns, byWrites)));
}

import type { WritePlan } from "../../planner/index.ts";
import type { PairErrors, SegmentSink } from "../pairs/index.ts";
import type { Lane } from "./lane.ts";
import type { Poster } from "./posted-lists.ts";
import type { KeyTable } from "./regions.ts";
import type { SendQueue, SmallWrite } from "./send-queue.ts";

/** Makes writes of a plan's pieces: those that follow each other at the destination share one, up to the gather limit. */
export class WriteSink implements SegmentSink {
  readonly #sends: SendQueue;
  readonly #localKeys: KeyTable;
  readonly #gatherLimit: number;
  readonly #errors: PairErrors;
  #poster!: Poster;
  #remoteKeys!: KeyTable;
  #start = 0;
  #end = -1;
  #key = 0;
  #entries = 0;

  constructor(lane: Lane, gatherLimit: number, errors: PairErrors) {
    this.#sends = lane.sends;
    this.#localKeys = lane.rail.localKeys;
    this.#gatherLimit = gatherLimit;
    this.#errors = errors;
  }

  /** What follows is written for `poster`, by these keys. */
  begin(poster: Poster, remoteKeys: KeyTable): this {
    this.#poster = poster;
    this.#remoteKeys = remoteKeys;
    return this;
  }

  /** @throws {KVTransferError} PROTOCOL for bytes that are registered not at all, or not as one. */
  add(source: number, destination: number, byteLength: number): boolean {
    const key = this.#remoteKey(destination, byteLength);
    const local = this.#localKey(source, byteLength);
    const joins = destination === this.#end && key === this.#key && this.#entries < this.#gatherLimit;
    if (!joins) {
      this.end();
      if (this.#sends.free < 1) return false;
      this.#start = destination;
      this.#key = key;
    }
    this.#sends.entry(source, byteLength, local);
    this.#end = destination + byteLength;
    this.#entries++;
    return true;
  }

  /** Ends the write that is open. */
  end(): void {
    if (this.#entries > 0) this.#sends.write(this.#poster, this.#start, this.#key, this.#end - this.#start);
    this.#entries = 0;
    this.#end = -1;
  }

  /** One write of a plan, for a request that carries more than data. @throws as {@link add} */
  single(plan: WritePlan, index: number): SmallWrite {
    const remote = plan.destination[index]!;
    const byteLength = plan.length[index]!;
    const first = plan.firstSegment[index]!;
    const source = Array.from({ length: plan.segmentCount[index]! }, (_, segment) => {
      const address = plan.segmentSource[first + segment]!;
      const length = plan.segmentLength[first + segment]!;
      return { address, byteLength: length, key: this.#localKey(address, length) };
    });
    return { source, remote, key: this.#remoteKey(remote, byteLength), byteLength };
  }

  #localKey(address: number, byteLength: number): number {
    const key = this.#localKeys.find(address, byteLength);
    if (key < 0) throw this.#unregistered("source", address, byteLength);
    return key;
  }

  #remoteKey(address: number, byteLength: number): number {
    const key = this.#remoteKeys.find(address, byteLength);
    if (key < 0) throw this.#unregistered("destination", address, byteLength);
    return key;
  }

  #unregistered(side: string, address: number, byteLength: number): Error {
    const range = `${byteLength} bytes at 0x${address.toString(16)}`;
    return this.#errors.protocol("write", `${side} of ${range} lies in no registered buffer`);
  }
}

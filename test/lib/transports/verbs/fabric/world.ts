import { Mapping } from "../../../../../ffi/libc/index.ts";
import type { KVTransferError } from "../../../../../lib/errors.ts";
import { PairErrors } from "../../../../../lib/transports/pairs/index.ts";
import type { RoomTag, WriteBatch } from "../../../../../lib/transports/transport.ts";
import type { Alarms } from "../../../../../lib/transports/verbs/alarms.ts";
import { type Offer, offerSchema, railOf } from "../../../../../lib/transports/verbs/endpoint.ts";
import { VerbsInbound } from "../../../../../lib/transports/verbs/inbound.ts";
import { Lane } from "../../../../../lib/transports/verbs/lane.ts";
import type { LaneEvents } from "../../../../../lib/transports/verbs/lane-events.ts";
import { verbsOptionsSchema } from "../../../../../lib/transports/verbs/options.ts";
import { VerbsOutbound } from "../../../../../lib/transports/verbs/outbound.ts";
import { RemoteKeys } from "../../../../../lib/transports/verbs/remote-keys.ts";
import { WriteSink } from "../../../../../lib/transports/verbs/write-sink.ts";
import { type Piece, planOf, type Random } from "../../support/plans.ts";
import { Fabric, FakeRail } from "./fabric.ts";

const PAGE = 48;
const PAGES = 64;
const SLOTS = 8;
const TICK_MS = 0.2;
const FREE = 0xee;

interface Room {
  readonly tag: RoomTag;
  readonly pages: readonly number[];
  readonly aux: number;
  readonly fill: number;
  /** Batches that prefill has not been given yet. */
  readonly later: WriteBatch[];
  unsettled: number;
  revoked: boolean;
  state: "expected" | "revoked" | "ended";
}

export interface WorldOptions {
  readonly rails: number;
  readonly queuePairs: number;
  /** Rooms have keys of their own. */
  readonly windows?: boolean;
}

/** Alarms on the world's clock. */
class FakeAlarms {
  readonly #pending = new Set<{ at: number; call: () => void }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  after(delayMs: number, call: () => void): () => void {
    const alarm = { at: this.#now() + delayMs, call };
    this.#pending.add(alarm);
    return () => this.#pending.delete(alarm);
  }

  tick(): void {
    for (const alarm of this.#pending) {
      if (alarm.at <= this.#now() && this.#pending.delete(alarm)) alarm.call();
    }
  }
}

/**
 * Both ends of a pair over a {@link Fabric}, and an engine on each side that lends pages to rooms and takes them back. Every
 * write is checked as it lands: only a page that is lent may change, and only to what its room sends.
 */
export class World implements Disposable {
  readonly random: Random;
  readonly fabric: Fabric;
  readonly inbound: VerbsInbound;
  readonly outbound: VerbsOutbound;
  readonly rooms = new Map<RoomTag, Room>();
  arrived = 0;
  fencedRooms = 0;
  /** Of those, while prefill stood still. */
  fencedWhileStalled = 0;
  lost: KVTransferError | undefined;
  outboundLost: KVTransferError | undefined;
  now = 1_000;
  /** Prefill's process stands still until then, while its queue pairs go on. */
  stalledUntil = 0;
  readonly #source = Mapping.allocate((PAGES + SLOTS) * PAGE);
  readonly #target = Mapping.allocate((PAGES + SLOTS) * PAGE);
  readonly #owners: (Room | undefined)[] = Array.from({ length: PAGES + SLOTS });
  readonly #decodeRails: readonly FakeRail[];
  readonly #prefillRails: readonly FakeRail[];
  readonly #alarms: FakeAlarms;
  readonly #places: number;
  readonly #batches = new Map<WriteBatch, Room>();
  #connected = false;
  #generation = 1;

  constructor(random: Random, { rails, queuePairs, windows = false }: WorldOptions) {
    this.random = random;
    this.#target.bytes.fill(FREE);
    const now = (): number => this.now;
    this.#alarms = new FakeAlarms(now);
    const alarms = this.#alarms as unknown as Alarms;
    this.fabric = new Fabric(random, (address, byteLength) => this.#mayWrite(address, byteLength));
    const makeRails = (memory: Mapping, base: number, windowed: boolean): FakeRail[] => {
      const ranges = [{ address: memory.address, byteLength: memory.byteLength }];
      return Array.from(
        { length: rails },
        (_, index) => new FakeRail(this.fabric, index, base + index, ranges, windowed),
      );
    };
    this.#decodeRails = makeRails(this.#target, 500, windows);
    this.#prefillRails = makeRails(this.#source, 700, false);
    const options = verbsOptionsSchema.parse({
      sendRequests: 32,
      receiveRequests: windows ? 32 : 8,
      maxWriteBytes: 4_096,
      windowBytes: 8_192,
    });
    const errors = new PairErrors("peer", "verbs");
    const gather = 2;
    const places = (this.#places = rails * queuePairs);
    const open = (sides: readonly FakeRail[], events: LaneEvents, id: number, place: number): Lane => {
      const side = railOf(sides, place);
      return new Lane(side.rail, options, gather, events, { id, place });
    };
    const describe = (lanes: readonly Lane[]) =>
      lanes.map(({ place, queuePair, packetSequence }) => ({ place, queuePair: queuePair.number, packetSequence }));
    const dismiss = (lanes: readonly Lane[]): void => lanes.forEach((lane) => lane.close());
    this.inbound = new VerbsInbound({
      errors,
      alarms,
      now,
      places,
      fenceGraceMs: windows ? 100 : 2_000,
      takesKeys: windows,
      rejoinMs: 20,
      events: {
        connected: () => (this.#connected = true),
        heard: () => undefined,
        arrived: (tag) => this.#onArrived(tag),
        fenced: (tag) => this.#onFenced(tag),
        lost: (error) => (this.lost = error),
      },
      openLanes: (events) =>
        Array.from({ length: places }, (_, place) => open(this.#decodeRails, events, place, place)),
      openLane: (events, { id, place }) => open(this.#decodeRails, events, id, place),
      describeOffer: (lanes) => ({
        version: 3,
        host: "a",
        withinHost: true,
        receives: options.receiveRequests,
        lanes: describe(lanes),
        rails: this.#decodeRails.map(({ address, remoteKeys: keys }) => ({ ...address, ...(keys && { keys }) })),
        ranges: [{ address: this.#target.address, byteLength: this.#target.byteLength }],
      }),
      dismiss,
    });
    const offer = offerSchema.parse(JSON.parse(JSON.stringify(this.inbound.offer))) as Offer;
    const connect = (lane: Lane, remote: { place: number; queuePair: number; packetSequence: number }): Lane => {
      lane.connect({ ...remote, address: railOf(offer.rails, remote.place) }, offer.receives);
      return lane;
    };
    this.outbound = new VerbsOutbound({
      errors,
      now,
      gatherLimit: gather,
      turnBytes: 4 * PAGE,
      crawlRatio: 1e9,
      events: {
        connected: () => undefined,
        written: (batch) => this.#settled(batch),
        failed: (batch, error) => {
          const room = this.#batches.get(batch);
          // A write of a room whose keys are gone takes its queue pair with it.
          const refused = windows && error.status === "IBV_WC_REM_ACCESS_ERR";
          if (!room?.revoked && !this.over && error.code !== "PEER_LOST" && !refused) throw error;
          this.#settled(batch);
        },
        lost: (error) => (this.outboundLost = error),
      },
      openLanes: (events) =>
        offer.lanes.map((lane) => connect(open(this.#prefillRails, events, lane.place, lane.place), lane)),
      openLane: (events, lane) => connect(open(this.#prefillRails, events, lane.id, lane.place), lane),
      sinkOf: (lane) => new WriteSink(lane, gather, errors),
      keys: new RemoteKeys(offer),
      describeEndpoint: (lanes) => ({
        version: 3,
        receives: options.receiveRequests,
        lanes: describe(lanes),
        rails: this.#prefillRails.map(({ address }) => address),
      }),
      dismiss,
    });
    this.outbound.step(this.now + 1);
    this.inbound.accept(JSON.parse(JSON.stringify(this.outbound.endpoint)));
  }

  /** Both ends have all their queue pairs. */
  get isWhole(): boolean {
    const count = (rails: readonly FakeRail[]): number => rails.reduce((sum, rail) => sum + rail.lanes.size, 0);
    return count(this.#decodeRails) >= this.#places && count(this.#prefillRails) >= this.#places;
  }

  get over(): boolean {
    return this.lost !== undefined || this.outboundLost !== undefined;
  }

  /** Rooms that have not ended, or whose batches have not been reported. */
  get open(): number {
    return this.rooms.size;
  }

  /** The path is proven and prefill knows. */
  connect(): this {
    for (let i = 0; i < 100_000 && !this.#connected && !this.over; i++) this.turn();
    if (!this.#connected) throw new Error(`not connected: ${this.lost?.message}`);
    this.outbound.confirm();
    return this;
  }

  /** Something happens somewhere. */
  turn(): void {
    this.now += TICK_MS;
    this.#alarms.tick();
    this.fabric.step();
    const stalled = this.now < this.stalledUntil;
    const running = stalled ? this.#decodeRails : [...this.#decodeRails, ...this.#prefillRails];
    const lanes = running.flatMap((rail) => [...rail.lanes]);
    const some = lanes[this.random.below(2 * lanes.length)];
    some?.onEvent();
    if (this.random.below(3) === 0 && !this.over && !stalled) this.outbound.step(this.now + TICK_MS);
    for (const room of this.rooms.values()) if (this.random.below(40) === 0) this.#giveBatch(room);
  }

  /** A room with pages that are free on both sides, if there are enough. */
  openRoom(): void {
    const free = this.random.shuffled(PAGES).filter((page) => !this.#owners[page]);
    const slot = Array.from({ length: SLOTS }, (_, each) => each).find((each) => !this.#owners[PAGES + each]);
    const count = this.random.below(12);
    if (slot === undefined || free.length < count || this.over) return;
    const tag = ((this.#generation++ << 16) | slot) >>> 0;
    const fill = 1 + this.random.below(0xe0);
    const pages = free.slice(0, count);
    const aux = PAGES + slot;
    const room: Room = { tag, pages, aux, fill, later: [], unsettled: 0, revoked: false, state: "expected" };
    for (const page of [...pages, aux]) {
      this.#owners[page] = room;
      this.#source.bytes.fill(fill, page * PAGE, (page + 1) * PAGE);
    }
    const piece = (each: number): Piece => this.piece(each);
    const cut = this.random.below(count + 1);
    room.later.push({ tag, plan: planOf(pages.slice(0, cut).map(piece)) });
    const last = { aux: planOf([piece(aux)]), totalBytes: (count + 1) * PAGE };
    room.later.push({ tag, plan: planOf(pages.slice(cut).map(piece)), last });
    this.rooms.set(tag, room);
    this.inbound.expect(tag);
  }

  /** A page, from its place at prefill to the same at decode. */
  piece(page: number): Piece {
    const at = page * PAGE;
    return { source: this.#source.address + at, destination: this.#target.address + at, byteLength: PAGE };
  }

  revokeSome(): void {
    const expected = [...this.rooms.values()].filter(({ state }) => state === "expected");
    const room = expected[this.random.below(expected.length)];
    if (!room) return;
    room.state = "revoked";
    room.revoked = true;
    room.later.length = 0;
    if (this.inbound.revoke(room.tag)) this.#onFenced(room.tag);
  }

  [Symbol.dispose](): void {
    this.outbound.close();
    this.inbound.close();
    this.#source.close();
    this.#target.close();
  }

  #giveBatch(room: Room): void {
    const batch = room.later.shift();
    if (!batch || this.over) return;
    room.unsettled++;
    this.#batches.set(batch, room);
    this.outbound.write(batch);
  }

  #settled(batch: WriteBatch): void {
    const room = this.#batches.get(batch);
    if (!room) throw new Error("a batch was reported twice");
    this.#batches.delete(batch);
    room.unsettled--;
    this.#forgetIfDone(room);
  }

  #onArrived(tag: RoomTag): void {
    const room = this.rooms.get(tag);
    if (room?.state !== "expected") throw new Error(`room ${tag} arrived while ${room?.state}`);
    for (const page of [...room.pages, room.aux]) {
      const bytes = this.#target.bytes.subarray(page * PAGE, (page + 1) * PAGE);
      if (!bytes.every((byte) => byte === room.fill)) throw new Error(`room ${tag} arrived without page ${page}`);
    }
    this.inbound.forget(tag);
    this.arrived++;
    this.#free(room);
  }

  #onFenced(tag: RoomTag): void {
    const room = this.rooms.get(tag);
    if (room?.state !== "revoked") throw new Error(`room ${tag} was fenced while ${room?.state}`);
    this.fencedRooms++;
    if (this.now < this.stalledUntil) this.fencedWhileStalled++;
    this.#free(room);
  }

  /** Its pages are somebody else's from now on. */
  #free(room: Room): void {
    room.state = "ended";
    for (const page of [...room.pages, room.aux]) {
      this.#owners[page] = undefined;
      this.#target.bytes.fill(FREE, page * PAGE, (page + 1) * PAGE);
    }
    this.#forgetIfDone(room);
  }

  #forgetIfDone(room: Room): void {
    if (room.state === "ended" && room.unsettled === 0 && room.later.length === 0) this.rooms.delete(room.tag);
  }

  #mayWrite(address: number, byteLength: number): void {
    const first = Math.floor((address - this.#target.address) / PAGE);
    const last = Math.floor((address + byteLength - 1 - this.#target.address) / PAGE);
    for (let page = first; page <= last; page++) {
      if (!this.#owners[page]) throw new Error(`a write to page ${page}, which is lent to nobody`);
    }
  }
}

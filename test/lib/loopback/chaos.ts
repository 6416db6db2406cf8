import { expect } from "bun:test";
import { type KVArgs, KVPoll, type KVReceiver, type KVSender } from "../../../lib/index.ts";
import { LoopbackWorld, type SimulatedMemory, type WorldManager } from "../../../lib/transports/loopback/index.ts";

const PAGES = 24;
const PAGE_BYTES = 64;
const LAYERS = 2;
const SLOTS = 24;
const SLOT_BYTES = 32;
const REGISTRY = "registry:8998";

/** A pool in simulated memory whose pages a test gives out and takes back. */
class ChaosPool {
  readonly args: KVArgs;
  readonly #memory: SimulatedMemory;
  readonly #bases: readonly number[];
  readonly #aux: number;
  /** Which room each page and slot is lent to; 0 is free. */
  readonly pageOwner = Array.from({ length: PAGES }, () => 0);
  readonly slotOwner = Array.from({ length: SLOTS }, () => 0);

  constructor(memory: SimulatedMemory) {
    this.#memory = memory;
    this.#bases = Array.from({ length: 2 * LAYERS }, () => memory.allocate(PAGES * PAGE_BYTES).address);
    this.#aux = memory.allocate(SLOTS * SLOT_BYTES).address;
    this.args = {
      kvDataPtrs: [...this.#bases],
      kvDataLens: this.#bases.map(() => PAGES * PAGE_BYTES),
      kvItemLens: this.#bases.map(() => PAGE_BYTES),
      auxDataPtrs: [this.#aux],
      auxDataLens: [SLOTS * SLOT_BYTES],
      auxItemLens: [SLOT_BYTES],
      pageSize: 4,
      attention: "mha",
      kvHeadNum: 2,
      totalKvHeadNum: 2,
      kvCacheDtype: "float32",
    };
  }

  /** Lends `count` free pages, spread over the pool, and a slot; undefined if there are not enough. */
  lend(room: number, count: number, random: () => number): { pages: number[]; slot: number } | undefined {
    const free = this.pageOwner.flatMap((owner, page) => (owner === 0 ? [page] : []));
    const slot = this.slotOwner.indexOf(0);
    if (free.length < count || slot < 0) return undefined;
    const pages = Array.from({ length: count }, () => free.splice(Math.floor(random() * free.length), 1)[0]!);
    for (const page of pages) this.pageOwner[page] = room;
    this.slotOwner[slot] = room;
    return { pages, slot };
  }

  takeBack(room: number): void {
    this.pageOwner.forEach((owner, page) => owner === room && (this.pageOwner[page] = 0));
    this.slotOwner.forEach((owner, slot) => owner === room && (this.slotOwner[slot] = 0));
  }

  fill(room: number, pages: readonly number[], slot: number): void {
    for (const [place, bytes] of this.#places(room, pages, slot)) place.set(bytes);
  }

  holds(room: number, pages: readonly number[], slot: number): boolean {
    return this.#places(room, pages, slot).every(([place, bytes]) => Buffer.compare(place, bytes) === 0);
  }

  /** The room that the address is lent to, if it lies in this pool. */
  ownerOf(address: number): number | undefined {
    const buffer = this.#bases.findIndex((base) => address >= base && address < base + PAGES * PAGE_BYTES);
    if (buffer >= 0) return this.pageOwner[Math.floor((address - this.#bases[buffer]!) / PAGE_BYTES)];
    if (address >= this.#aux && address < this.#aux + SLOTS * SLOT_BYTES) {
      return this.slotOwner[Math.floor((address - this.#aux) / SLOT_BYTES)];
    }
    return undefined;
  }

  #places(room: number, pages: readonly number[], slot: number): (readonly [Uint8Array, Uint8Array])[] {
    const at = (address: number, length: number, salt: number) =>
      [this.#memory.at(address, length), new Uint8Array(length).map((_, i) => room * 31 + salt * 7 + i)] as const;
    return [
      ...pages.flatMap((page, position) =>
        this.#bases.map((base, buffer) => at(base + page * PAGE_BYTES, PAGE_BYTES, position * 8 + buffer)),
      ),
      at(this.#aux + slot * SLOT_BYTES, SLOT_BYTES, 999),
    ];
  }
}

export interface ChaosOptions {
  readonly seed: number;
  readonly rooms?: number;
  readonly lossRate?: number;
  readonly breakRate?: number;
  readonly abortRate?: number;
  /** Processes that are killed and started again, or stopped and resumed, during the run. */
  readonly kills?: number;
  readonly stops?: number;
}

interface ChaosRoom {
  readonly number: number;
  readonly pages: number;
  sender: KVSender | undefined;
  receiver: KVReceiver | undefined;
  source: { pages: number[]; slot: number } | undefined;
  destination: { pages: number[]; slot: number } | undefined;
  given: number;
  verified: boolean;
}

/**
 * Many rooms between a prefill and a decode under faults drawn from a seed. Checked all along: no write lands in
 * a page that was handed back or lent to another room, and what Success stands for has arrived. At the end: every room has
 * ended, every page is back, nothing is left in managers or registry.
 */
export class Chaos {
  readonly world: LoopbackWorld;
  readonly #options: Required<ChaosOptions>;
  readonly #pools = new Map<WorldManager, ChaosPool>();
  readonly #rooms: ChaosRoom[] = [];
  readonly violations: string[] = [];
  succeeded = 0;
  failed = 0;
  #prefill!: WorldManager;
  #decode!: WorldManager;

  constructor(options: ChaosOptions) {
    this.#options = { rooms: 12, lossRate: 0, breakRate: 0, abortRate: 0, kills: 0, stops: 0, ...options };
    const { seed, lossRate, breakRate } = this.#options;
    this.world = new LoopbackWorld({ seed, lossRate, breakRate, onWrite: ({ address }) => this.#onWrite(address) });
    this.#startPrefill();
    this.#startDecode();
  }

  run(): void {
    const { rooms, kills, stops, seed } = this.#options;
    const { simulation } = this.world;
    for (let number = 1; number <= rooms; number++) {
      simulation.at(simulation.between(0, 30), () => this.#begin(number));
    }
    for (let i = 0; i < kills; i++) simulation.at(simulation.between(1, 40), () => this.#killOne());
    for (let i = 0; i < stops; i++) simulation.at(simulation.between(1, 40), () => this.#stopOne());

    const done = (): boolean => this.#rooms.length === rooms && this.#rooms.every((room) => this.#isOver(room));
    const ended = simulation.run(done, 120_000);
    expect(this.violations, `seed ${seed}`).toEqual([]);
    expect({ seed, ended, open: ended ? [] : this.#describeOpen() }).toEqual({ seed, ended: true, open: [] });
    this.#checkNothingLeft();
  }

  #begin(number: number): void {
    const { simulation } = this.world;
    const room: ChaosRoom = {
      number,
      pages: simulation.integer(0, 5),
      sender: undefined,
      receiver: undefined,
      source: undefined,
      destination: undefined,
      given: 0,
      verified: false,
    };
    this.#rooms.push(room);
    simulation.after(simulation.between(0, 20), () => this.#openSender(room));
    simulation.after(simulation.between(0, 20), () => this.#openReceiver(room));
    if (!simulation.chance(this.#options.abortRate)) return;
    const side = simulation.chance(0.5) ? "sender" : "receiver";
    simulation.after(simulation.between(0, 40), () => room[side]?.abort());
  }

  #openSender(room: ChaosRoom): void {
    const prefill = this.#prefill;
    const { simulation } = this.world;
    const pool = this.#pools.get(prefill)!;
    const lent = prefill.process.alive ? pool.lend(room.number, room.pages, () => simulation.random()) : undefined;
    if (!lent) return void simulation.after(5, () => this.#openSender(room));
    room.source = lent;
    pool.fill(room.number, lent.pages, lent.slot);
    const sender = (room.sender = prefill.manager.createSender({ room: room.number }));
    const give = (): void => {
      if (sender.poll() === KVPoll.Failed || !prefill.process.alive) return;
      const count = simulation.integer(room.given === room.pages ? 0 : 1, room.pages - room.given);
      sender.send(lent.pages.slice(room.given, room.given + count));
      room.given += count;
      if (room.given < room.pages) simulation.after(simulation.between(0, 10), give);
    };
    simulation.after(simulation.between(0, 10), () => {
      if (!prefill.process.alive || sender.poll() === KVPoll.Failed) return;
      sender.init(room.pages, lent.slot);
      give();
    });
    this.#watch(
      prefill,
      () => sender.poll(),
      () => sender.isReleased,
      () => {
        pool.takeBack(room.number);
        // A page that is given back is used anew at once: a late read or write is seen.
        sender.clear();
      },
    );
  }

  #openReceiver(room: ChaosRoom): void {
    const decode = this.#decode;
    const { simulation } = this.world;
    const pool = this.#pools.get(decode)!;
    const lent = decode.process.alive ? pool.lend(room.number, room.pages, () => simulation.random()) : undefined;
    if (!lent) return void simulation.after(5, () => this.#openReceiver(room));
    room.destination = lent;
    const receiver = (room.receiver = decode.manager.createReceiver({ room: room.number, bootstrapAddr: REGISTRY }));
    simulation.after(simulation.between(0, 10), () => {
      if (decode.process.alive && receiver.poll() !== KVPoll.Failed) receiver.init(lent.pages, lent.slot);
    });
    this.#watch(
      decode,
      () => receiver.poll(),
      () => receiver.isReleased,
      () => {
        if (receiver.poll() === KVPoll.Success) {
          this.succeeded++;
          if (!pool.holds(room.number, lent.pages, lent.slot))
            this.violations.push(`room ${room.number}: Success without its bytes`);
        } else {
          this.failed++;
          if (!receiver.failureException()) this.violations.push(`room ${room.number}: Failed without a reason`);
        }
        room.verified = true;
        pool.takeBack(room.number);
        receiver.clear();
      },
    );
  }

  /** Looks at a room after every turn of the world until its pages are back, as an engine's scheduler does. */
  #watch(owner: WorldManager, poll: () => KVPoll, released: () => boolean, then: () => void): void {
    const { simulation } = this.world;
    let pause = 0.05;
    const look = (): void => {
      if (!owner.process.alive) return;
      pause = Math.min(pause * 1.1, 5);
      const state = poll();
      const over = state === KVPoll.Success || state === KVPoll.Failed;
      if (over && released()) return then();
      simulation.after(pause, look);
    };
    look();
  }

  #isOver(room: ChaosRoom): boolean {
    const dead = (manager: WorldManager | undefined): boolean => !manager || !manager.process.alive;
    const of = (handle: KVSender | KVReceiver | undefined, manager: WorldManager | undefined): boolean =>
      handle !== undefined && (dead(manager) || (handle.isReleased && handle.poll() !== KVPoll.Transferring));
    return of(room.sender, this.#ownerOf(room.sender)) && of(room.receiver, this.#ownerOf(room.receiver));
  }

  readonly #owners = new Map<KVSender | KVReceiver, WorldManager>();

  #ownerOf(handle: KVSender | KVReceiver | undefined): WorldManager | undefined {
    return handle && this.#owners.get(handle);
  }

  #startPrefill(): void {
    const pool = new ChaosPool(this.world.memory);
    this.#prefill = this.world.start({
      role: "prefill",
      name: "prefill",
      args: pool.args,
      registry: { address: REGISTRY, serve: true },
    });
    this.#adopt(this.#prefill, pool);
  }

  #startDecode(): void {
    const pool = new ChaosPool(this.world.memory);
    this.#decode = this.world.start({ role: "decode", name: "decode", args: pool.args });
    this.#adopt(this.#decode, pool);
  }

  #adopt(manager: WorldManager, pool: ChaosPool): void {
    this.#pools.set(manager, pool);
    const remember = <Handle extends KVSender | KVReceiver>(handle: Handle): Handle => {
      this.#owners.set(handle, manager);
      return handle;
    };
    const { createSender, createReceiver } = manager.manager;
    manager.manager.createSender = (options) => remember(createSender.call(manager.manager, options));
    manager.manager.createReceiver = (options) => remember(createReceiver.call(manager.manager, options));
  }

  #killOne(): void {
    const { simulation } = this.world;
    const prefill = simulation.chance(0.5);
    (prefill ? this.#prefill : this.#decode).process.kill();
    simulation.after(simulation.between(0, 50), () => (prefill ? this.#startPrefill() : this.#startDecode()));
  }

  /** Longer than the lease, so that the peer takes it for dead while its posted writes are still under way. */
  #stopOne(): void {
    const { simulation } = this.world;
    const { process } = simulation.chance(0.5) ? this.#prefill : this.#decode;
    process.stop();
    simulation.after(simulation.between(500, 3_000), () => process.resume());
  }

  #onWrite(address: number): void {
    for (const [manager, pool] of this.#pools) {
      const owner = pool.ownerOf(address);
      if (owner === undefined) continue;
      if (owner === 0 && manager.process.alive)
        this.violations.push(`a write landed at ${address}, which nobody was lent`);
      return;
    }
    this.violations.push(`a write landed at ${address}, which is in no pool`);
  }

  #describeOpen(): unknown[] {
    return this.#rooms
      .filter((room) => !this.#isOver(room))
      .map((room) => ({
        room: room.number,
        sender: room.sender && [room.sender.poll(), room.sender.isReleased],
        receiver: room.receiver && [room.receiver.poll(), room.receiver.isReleased],
      }));
  }

  #checkNothingLeft(): void {
    const { simulation } = this.world;
    const { seed } = this.#options;
    const clean = (): boolean =>
      this.#prefill.table.used === 0 &&
      this.#decode.table.used === 0 &&
      this.#prefill.progress.role.rooms.size === 0 &&
      this.#decode.progress.role.rooms.size === 0 &&
      this.#prefill.manager.figures.earlyRooms === 0;
    const left = simulation.run(clean, 60_000);
    const { figures: prefill } = this.#prefill.manager;
    const { figures: decode } = this.#decode.manager;
    expect({ seed, clean: left, prefill, decode }).toMatchObject({
      seed,
      clean: true,
      prefill: { rooms: 0, earlyRooms: 0 },
      decode: { rooms: 0 },
    });
    expect(this.#prefill.registry?.memberCount).toBeLessThanOrEqual(2 + this.#options.kills);
  }
}

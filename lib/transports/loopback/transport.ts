import { z } from "zod";
import { KVTransferError } from "../../errors.ts";
import type { WritePlan } from "../../planner/index.ts";
import type {
  InboundEnd,
  InboundEvents,
  OutboundEnd,
  OutboundEvents,
  RoomTag,
  Transport,
  TransportData,
  WriteBatch,
} from "../transport.ts";
import type { SimulatedMemory } from "./memory.ts";
import type { SimulatedProcess } from "./process.ts";
import type { Simulation } from "./simulation.ts";
import { Wire, type WireEnd, type WireMessage, type WireOptions } from "./wire.ts";

const WRITES_PER_STEP = 16;

const offerSchema = z.object({ inbound: z.number().int() });

/** Where the loopback transports of one world find one another. */
export class LoopbackHub {
  readonly simulation: Simulation;
  readonly memory: SimulatedMemory;
  readonly options: WireOptions;
  readonly inbounds: LoopbackInbound[] = [];

  constructor(simulation: Simulation, memory: SimulatedMemory, options: WireOptions) {
    this.simulation = simulation;
    this.memory = memory;
    this.options = options;
  }

  /** The transport of one process of the world. */
  transportOf(process: SimulatedProcess): Transport {
    return {
      name: "loopback",
      openInbound: (_, events) => new LoopbackInbound(this, process, events),
      openOutbound: (_, offer, events) => new LoopbackOutbound(this, process, offerSchema.parse(offer).inbound, events),
      close: () => undefined,
    };
  }
}

/** Messages wait here until the process that owns the end runs. */
abstract class LoopbackEnd implements WireEnd {
  readonly process: SimulatedProcess;
  #closed = false;

  constructor(process: SimulatedProcess) {
    this.process = process;
    process.host({ step: () => this.#drain(), wakeAt: Infinity });
  }

  readonly #inbox: WireMessage[] = [];

  deliver(message: WireMessage): void {
    this.#inbox.push(message);
  }

  close(): void {
    this.#closed = true;
  }

  protected abstract hear(message: WireMessage): void;

  #drain(): boolean {
    for (let message = this.#inbox.shift(); message; message = this.#inbox.shift()) {
      if (!this.#closed) this.hear(message);
    }
    return false;
  }
}

class LoopbackInbound extends LoopbackEnd implements InboundEnd {
  readonly offer: TransportData;
  readonly #events: InboundEvents;
  readonly #revoked = new Set<RoomTag>();
  #wire: Wire | undefined;

  constructor(hub: LoopbackHub, process: SimulatedProcess, events: InboundEvents) {
    super(process);
    this.#events = events;
    this.offer = { inbound: hub.inbounds.push(this) - 1 };
  }

  get unfenced(): number {
    return this.#revoked.size;
  }

  attach(wire: Wire): void {
    this.#wire = wire;
  }

  accept(): void {
    if (this.#wire) this.#events.connected();
  }

  expect(): void {
    // The wire takes any write: the fence is what the room's owner relies on.
  }

  forget(): void {
    // See expect.
  }

  revoke(tag: RoomTag): boolean {
    if (!this.#wire || this.#wire.broken) return true;
    this.#revoked.add(tag);
    this.#wire.tell("sender", { type: "revoke", tag });
    return false;
  }

  protected hear(message: WireMessage): void {
    if (message.type === "alive") this.#events.heard();
    if (message.type === "arrived") this.#events.arrived(message.tag, message.totalBytes);
    if (message.type === "fenced") {
      this.#revoked.delete(message.tag);
      this.#events.fenced(message.tag);
    }
    if (message.type === "lost") {
      this.#revoked.clear();
      this.#events.lost(message.error);
    }
  }
}

interface Flight {
  readonly batch: WriteBatch;
  next: number;
  landing: number;
}

class LoopbackOutbound extends LoopbackEnd implements OutboundEnd {
  readonly endpoint: TransportData = {};
  readonly destinationBases = undefined;
  readonly gatherLimit: number;
  readonly #events: OutboundEvents;
  readonly #wire: Wire;
  readonly #flights: Flight[] = [];
  readonly #cancelled = new Map<RoomTag, KVTransferError>();
  readonly #answerFence = new Set<RoomTag>();
  #turn = 0;

  constructor(hub: LoopbackHub, process: SimulatedProcess, inboundIndex: number, events: OutboundEvents) {
    super(process);
    this.#events = events;
    const inbound = hub.inbounds[inboundIndex];
    if (!inbound?.process.alive) throw new KVTransferError("PEER_LOST", "no such inbound end", { step: "connect" });
    this.gatherLimit = hub.simulation.integer(1, 4);
    this.#wire = new Wire(hub.simulation, hub.memory, hub.options, this, inbound);
    inbound.attach(this.#wire);
    hub.simulation.after(hub.simulation.between(...hub.options.delayMs), () => {
      if (process.running) events.connected();
    });
  }

  confirm(): void {
    // The wire stands from the start.
  }

  keepAlive(): void {
    this.#wire.tell("receiver", { type: "alive" });
  }

  write(batch: WriteBatch): void {
    this.#flights.push({ batch, next: 0, landing: 0 });
    this.process.poke();
  }

  cancel(tag: RoomTag, error: KVTransferError): void {
    this.#cancelled.set(tag, error);
    this.#settleCancelled();
  }

  /** Posts a few writes of the room whose turn it is: of each room only the oldest batch, so that its batches keep their order. */
  step(): boolean {
    if (this.#wire.broken) return false;
    const rooms = new Map<RoomTag, Flight>();
    for (const flight of this.#flights) {
      const { tag } = flight.batch;
      if (!rooms.has(tag) && !this.#cancelled.has(tag)) rooms.set(tag, flight);
    }
    const open = [...rooms.values()].filter((flight) => flight.next <= flight.batch.plan.writeCount);
    const flight = open[this.#turn++ % Math.max(1, open.length)];
    if (!flight) return false;
    const { plan, tag } = flight.batch;
    for (let i = 0; i < WRITES_PER_STEP && flight.next < plan.writeCount; i++) this.#post(flight, plan, flight.next++);
    if (flight.next === plan.writeCount && flight.landing === 0) this.#finish(flight);
    return (
      open.length > 1 || this.#flights.some((each) => each.batch.tag === tag && each.next < each.batch.plan.writeCount)
    );
  }

  protected hear(message: WireMessage): void {
    if (message.type === "written") {
      this.#take(message.batch);
      this.#events.written(message.batch);
    }
    if (message.type === "revoke") {
      this.#answerFence.add(message.tag);
      this.cancel(message.tag, new KVTransferError("ABORTED", "decode took the room back", { step: "write" }));
    }
    if (message.type === "lost") {
      for (const { batch } of this.#flights.splice(0)) this.#events.failed(batch, message.error);
      this.#events.lost(message.error);
    }
  }

  override close(): void {
    super.close();
    this.#wire.break("closed");
  }

  #post(flight: Flight, plan: WritePlan, write: number): void {
    let destination = plan.destination[write]!;
    const first = plan.firstSegment[write]!;
    for (let segment = first; segment < first + plan.segmentCount[write]!; segment++) {
      const length = plan.segmentLength[segment]!;
      this.#send(flight, plan.segmentSource[segment]!, destination, length);
      destination += length;
    }
  }

  #send(flight: Flight, source: number, destination: number, length: number): void {
    flight.landing++;
    this.#wire.post(flight.batch.tag, source, destination, length, () => {
      flight.landing--;
      this.process.poke();
      this.#landed(flight);
    });
  }

  /** The card goes on although the process may be stopped: aux behind the pages, the notification behind aux. */
  #landed(flight: Flight): void {
    const { tag, plan } = flight.batch;
    if (this.#cancelled.has(tag)) return this.#settleCancelled();
    if (flight.landing === 0 && flight.next === plan.writeCount) this.#finish(flight);
  }

  #finish(flight: Flight): void {
    const { batch } = flight;
    const earlier = this.#flights.find((each) => each.batch.tag === batch.tag);
    if (earlier !== flight || flight.next > batch.plan.writeCount) return;
    flight.next = batch.plan.writeCount + 1;
    const aux = batch.last?.aux;
    if (!aux || aux.writeCount === 0) return this.#complete(flight);
    for (let write = 0; write < aux.writeCount; write++) {
      flight.landing++;
      this.#wire.post(batch.tag, aux.segmentSource[write]!, aux.destination[write]!, aux.length[write]!, () => {
        flight.landing--;
        if (this.#cancelled.has(batch.tag)) return this.#settleCancelled();
        if (flight.landing === 0) this.#complete(flight);
      });
    }
  }

  #complete({ batch }: Flight): void {
    if (batch.last) this.#wire.tell("receiver", { type: "arrived", tag: batch.tag, totalBytes: batch.last.totalBytes });
    this.#wire.tell("sender", { type: "written", batch });
  }

  #take(batch: WriteBatch): void {
    const at = this.#flights.findIndex((flight) => flight.batch === batch);
    if (at >= 0) this.#flights.splice(at, 1);
  }

  /** A cancelled room's batches end once nothing of it is under way; then the fence is answered. */
  #settleCancelled(): void {
    for (const [tag, error] of this.#cancelled) {
      if (this.#wire.flies(tag)) continue;
      for (const flight of this.#flights.filter(({ batch }) => batch.tag === tag)) {
        this.#take(flight.batch);
        if (this.process.alive) this.#events.failed(flight.batch, error);
      }
      if (this.#answerFence.delete(tag)) this.#wire.tell("receiver", { type: "fenced", tag });
    }
  }
}

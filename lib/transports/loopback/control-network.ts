import type { ControlNetwork, ControlSocket } from "../../progress/dependencies.ts";
import type { Frame, Frames } from "../../protocol/index.ts";
import { Registry, type RegistryOptions } from "../../registry/registry.ts";
import type { SimulatedProcess } from "./process.ts";
import type { Simulation } from "./simulation.ts";

export interface NetworkFaults {
  /** Milliseconds that a message or a write is under way. */
  readonly delayMs: readonly [number, number];
  /** Of control messages. */
  readonly lossRate: number;
}

interface Client {
  readonly process: SimulatedProcess;
  readonly inbox: Frames[];
  /** Messages of one direction keep their order: none arrives before this. */
  arrivesAt: number;
}

interface Listener {
  readonly process: SimulatedProcess;
  readonly inbox: { readonly identity: Frame; readonly frames: Frames }[];
  readonly arrivesAt: Map<Client, number>;
}

const TICKS_PER_LEASE = 10;

/** Registries and their clients in one simulated world: messages are late, keep their order, and may be lost. */
export class SimulatedControl {
  readonly #simulation: Simulation;
  readonly #faults: NetworkFaults;
  readonly #listeners = new Map<string, Listener>();
  readonly #clients: Client[] = [];

  constructor(simulation: Simulation, faults: NetworkFaults) {
    this.#simulation = simulation;
    this.#faults = faults;
  }

  /** The registry of `process`, in the place of one that may have been at the address before. */
  serve(address: string, process: SimulatedProcess, options: RegistryOptions): Registry {
    const listener: Listener = { process, inbox: [], arrivesAt: new Map() };
    this.#listeners.set(address, listener);
    const registry = new Registry(options, (identity, frames) => this.#answer(identity, frames));
    const tickMs = options.leaseMs / TICKS_PER_LEASE;
    let lastStepAt = this.#simulation.now;
    let nextTickAt = lastStepAt + tickMs;
    process.host({
      step: () => {
        const { now } = this.#simulation;
        if (now - lastStepAt > options.leaseMs / 2) registry.forgive(now - lastStepAt);
        lastStepAt = now;
        for (const { identity, frames } of listener.inbox.splice(0)) registry.receive(identity, frames, now);
        if (now >= nextTickAt) {
          nextTickAt = now + tickMs;
          registry.tick(now);
        }
        return false;
      },
      get wakeAt() {
        return nextTickAt;
      },
    });
    process.onDeath(() => {
      if (this.#listeners.get(address) === listener) this.#listeners.delete(address);
    });
    return registry;
  }

  /** The network as `process` sees it. */
  networkOf(process: SimulatedProcess): ControlNetwork {
    return { dial: (address) => this.#dial(address, process) };
  }

  #dial(address: string, process: SimulatedProcess): ControlSocket {
    const client: Client = { process, inbox: [], arrivesAt: 0 };
    const identity = encodeIdentity(this.#clients.push(client) - 1);
    let open = true;
    return {
      send: (frames) => {
        const listener = this.#listeners.get(address);
        if (!open || !listener || this.#lost()) return true;
        const at = Math.max(this.#arrival(), listener.arrivesAt.get(client) ?? 0);
        listener.arrivesAt.set(client, at);
        this.#simulation.at(at, () => {
          listener.inbox.push({ identity, frames });
          listener.process.poke();
        });
        return true;
      },
      receive: () => client.inbox.shift(),
      close: () => {
        open = false;
      },
    };
  }

  #answer(identity: Frame, frames: Frames): void {
    const client = this.#clients[decodeIdentity(identity)];
    if (!client || this.#lost()) return;
    client.arrivesAt = Math.max(this.#arrival(), client.arrivesAt);
    this.#simulation.at(client.arrivesAt, () => {
      client.inbox.push(frames);
      client.process.poke();
    });
  }

  #arrival(): number {
    return this.#simulation.now + this.#simulation.between(...this.#faults.delayMs);
  }

  #lost(): boolean {
    return this.#simulation.chance(this.#faults.lossRate);
  }
}

function encodeIdentity(index: number): Frame {
  return new Uint8Array(Uint32Array.of(index).buffer);
}

function decodeIdentity(identity: Frame): number {
  return new DataView(identity.buffer, identity.byteOffset).getUint32(0, true);
}

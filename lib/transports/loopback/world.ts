import { type KVArgs, parseArgs } from "../../args.ts";
import { RoomFactory } from "../../room-factory.ts";
import type { Command } from "../../progress/command.ts";
import type { Timeouts } from "../../progress/dependencies.ts";
import { DecodeRole } from "../../progress/decode-role.ts";
import { Progress } from "../../progress/progress.ts";
import type { ProgressFigures, ProgressHost } from "../../progress/host.ts";
import type { Member } from "../../protocol/index.ts";
import type { Registry } from "../../registry/registry.ts";
import { RoomTable } from "../../rooms/index.ts";
import { SimulatedControl } from "./control-network.ts";
import { SimulatedMemory } from "./memory.ts";
import { SimulatedProcess } from "./process.ts";
import { Simulation } from "./simulation.ts";
import { LoopbackHub } from "./transport.ts";
import type { WireOptions } from "./wire.ts";

export interface WorldOptions extends Partial<WireOptions> {
  readonly seed: number;
}

export interface WorldManagerOptions {
  readonly role: "prefill" | "decode";
  readonly name: string;
  readonly args: KVArgs;
  /** Prefill: where its registry is; served by this process if `serve`. */
  readonly registry?: { readonly address: string; readonly serve: boolean };
  readonly maxRooms?: number;
  readonly timeouts?: Partial<Timeouts>;
}

/** A manager in a simulated process, with what a test may do to it. */
export interface WorldManager {
  readonly manager: RoomFactory;
  readonly process: SimulatedProcess;
  readonly table: RoomTable;
  readonly progress: Progress;
  readonly registry: Registry | undefined;
}

const TIMEOUTS: Timeouts = {
  bootstrapMs: 20_000,
  inputMs: 20_000,
  transferMs: 20_000,
  connectMs: 2_000,
  leaseMs: 1_000,
  idleMs: 60_000,
};

/**
 * Registries, prefill and decode managers in one thread under a virtual clock: the state machines of the real
 * transports, with delay, loss, reordering, broken pairs and dying processes drawn from a seed.
 */
export class LoopbackWorld {
  readonly simulation: Simulation;
  readonly memory = new SimulatedMemory();
  readonly #control: SimulatedControl;
  readonly #hub: LoopbackHub;
  #epochs = 0;

  constructor(options: WorldOptions) {
    const { seed, delayMs = [0.01, 1], lossRate = 0, breakRate = 0, onWrite } = options;
    this.simulation = new Simulation(seed);
    const faults = { delayMs, lossRate, breakRate, ...(onWrite ? { onWrite } : {}) };
    this.#control = new SimulatedControl(this.simulation, faults);
    this.#hub = new LoopbackHub(this.simulation, this.memory, faults);
  }

  /** Starts a process with one manager (and the registry, if it serves one). A dead one's name may be used again. */
  start(options: WorldManagerOptions): WorldManager {
    const process = new SimulatedProcess(options.name, this.simulation);
    const timeouts = { ...TIMEOUTS, ...options.timeouts };
    const { args, layout } = parseArgs(options.args);
    const table = RoomTable.allocate(options.maxRooms ?? 64);
    const epoch = `epoch-${++this.#epochs}`;
    const registry = options.registry?.serve
      ? this.#control.serve(options.registry.address, process, { epoch, leaseMs: timeouts.leaseMs, maxMembers: 64 })
      : undefined;
    const self: Member = {
      id: `${options.name} dp${args.dpRank} pp${layout.ppRank} tp${layout.tpRank}`,
      epoch,
      role: options.role,
      dpRank: args.dpRank,
      dpSize: args.dpSize,
      layout,
      transports: ["loopback"],
    };
    const now = (): number => this.simulation.now;
    const progress = new Progress(
      {
        self,
        token: undefined,
        table,
        control: this.#control.networkOf(process),
        transports: [this.#hub.transportOf(process)],
        timeouts,
        now,
        random: () => this.simulation.random(),
      },
      options.registry?.address,
    );
    const host = new WorldHost(process, progress);
    process.host(host);
    const manager = new RoomFactory({ role: options.role, layout, table, host, now });
    return { manager, process, table, progress, registry };
  }
}

/** Runs a progress inside a simulated process. */
class WorldHost implements ProgressHost {
  readonly transports = ["loopback"];
  readonly unusable: readonly string[] = [];
  readonly #process: SimulatedProcess;
  readonly #progress: Progress;
  readonly #commands: Command[] = [];

  constructor(process: SimulatedProcess, progress: Progress) {
    this.#process = process;
    this.#progress = progress;
  }

  submit(command: Command): void {
    this.#commands.push(command);
    this.#process.poke();
  }

  hold(): void {
    // The virtual clock runs as long as the test runs it.
  }

  unhold(): void {
    // See hold.
  }

  close(): Promise<{ unfenced: number }> {
    const { unfenced } = this.#progress;
    this.#progress.close();
    return Promise.resolve({ unfenced });
  }

  get figures(): ProgressFigures {
    const { role, queuePairs } = this.#progress;
    return role instanceof DecodeRole
      ? { pairs: role.pairCount, queuePairs, links: role.linkCount, earlyRooms: 0 }
      : { pairs: role.pairCount, queuePairs, links: 1, earlyRooms: role.earlyRooms };
  }

  step(): boolean {
    for (let command = this.#commands.shift(); command; command = this.#commands.shift())
      this.#progress.execute(command);
    return this.#progress.step();
  }

  get wakeAt(): number {
    return this.#progress.wakeAt;
  }
}

import type { Simulation } from "./simulation.ts";

/** Whatever a simulated process runs: called when something came for it, and at the time it asked for. */
export interface ProcessBody {
  /** True: again at once. */
  step(): boolean;
  readonly wakeAt: number;
}

/** Time between two turns of a busy loop. */
const TURN_MS = 0.01;

/** A process of a simulated world: it can be stopped, go on, and be killed; dead or stopped, it does nothing. */
export class SimulatedProcess {
  readonly name: string;
  readonly #simulation: Simulation;
  readonly #bodies: ProcessBody[] = [];
  readonly #onDeath: (() => void)[] = [];
  #alive = true;
  #stopped = false;
  #poked = false;

  constructor(name: string, simulation: Simulation) {
    this.name = name;
    this.#simulation = simulation;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get running(): boolean {
    return this.#alive && !this.#stopped;
  }

  host(body: ProcessBody): void {
    this.#bodies.push(body);
    this.poke();
  }

  onDeath(run: () => void): void {
    this.#onDeath.push(run);
  }

  /** Something came: its bodies get a turn soon. */
  poke(): void {
    if (this.#poked || !this.running) return;
    this.#poked = true;
    this.#simulation.after(TURN_MS, () => this.#turn());
  }

  /** SIGSTOP. What it has posted goes on; it itself does not. */
  stop(): void {
    this.#stopped = true;
  }

  /** SIGCONT. */
  resume(): void {
    this.#stopped = false;
    this.#poked = false;
    this.poke();
  }

  /** SIGKILL. */
  kill(): void {
    if (!this.#alive) return;
    this.#alive = false;
    for (const run of this.#onDeath) run();
  }

  #turn(): void {
    this.#poked = false;
    if (!this.running) return;
    let busy = false;
    let wakeAt = Infinity;
    for (const body of this.#bodies) {
      busy = body.step() || busy;
      wakeAt = Math.min(wakeAt, body.wakeAt);
    }
    if (busy) return this.poke();
    if (wakeAt < Infinity) this.#simulation.at(Math.max(wakeAt, this.#simulation.now + TURN_MS), () => this.poke());
  }
}

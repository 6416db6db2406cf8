import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Machine, type MachineOptions } from "./machine.ts";

export type NetworkOptions = Pick<MachineOptions, "processors" | "memoryMiB" | "bootTimeoutMs">;

/**
 * One machine, or two that are two hosts on one Ethernet: `host1` 10.77.0.1 and `host2` 10.77.0.2, which know each
 * other's names. Inside, the device is `net0`: `ip link set net0 down`, `tc qdisc add dev net0 root netem loss 5%`.
 */
export class Network {
  readonly #machines: Machine[] = [];
  readonly #count: 1 | 2;
  readonly #options: NetworkOptions;
  /** Holds the two ends of the link, which are unix sockets. */
  readonly #folder: string | undefined;

  private constructor(count: 1 | 2, options: NetworkOptions) {
    this.#count = count;
    this.#options = options;
    if (count === 2) this.#folder = mkdtempSync(join(tmpdir(), "kvwire-link-"));
  }

  static async start(count: 1 | 2, options: NetworkOptions): Promise<Network> {
    const network = new Network(count, options);
    try {
      const places = Array.from({ length: count }, (_, index) => index);
      const booted = await Promise.allSettled(places.map((index) => network.#boot(index)));
      for (const result of booted) if (result.status === "fulfilled") network.#machines.push(result.value);
      for (const result of booted) if (result.status === "rejected") throw result.reason;
      return network;
    } catch (cause) {
      await network[Symbol.asyncDispose]();
      throw cause;
    }
  }

  get machines(): readonly Machine[] {
    return this.#machines;
  }

  get host1(): Machine {
    return this.#machines[0]!;
  }

  /** @throws {RangeError} when the network was started with one machine. */
  get host2(): Machine {
    const machine = this.#machines[1];
    if (machine === undefined) throw new RangeError("this network has one machine: start it with 2");
    return machine;
  }

  /** Cuts a machine's power and boots another in its place, under the same name and address. */
  async replace(machine: Machine): Promise<Machine> {
    const index = this.#machines.indexOf(machine);
    if (index < 0) throw new RangeError(`${machine.name} is not a machine of this network`);
    await machine.powerCut();
    return (this.#machines[index] = await this.#boot(index));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#machines.map((machine) => machine.powerCut()));
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
  }

  #boot(index: number): Promise<Machine> {
    const host = (place: number): { name: string; address: string } => ({
      name: `host${place + 1}`,
      address: `10.77.0.${place + 1}`,
    });
    const folder = this.#folder;
    const end = (place: number): string => join(folder ?? "", `end${place + 1}`);
    // More emulated processors than real ones cost more than they bring: two machines would halve each other's speed.
    const share = Math.floor(availableParallelism() / this.#count);
    return Machine.boot({
      processors: Math.min(2, Math.max(1, share)),
      ...this.#options,
      ...host(index),
      number: index + 1,
      hosts: Array.from({ length: this.#count }, (_, place) => host(place)),
      link: folder === undefined ? { kind: "alone" } : { kind: "socket", own: end(index), peer: end(1 - index) },
    });
  }
}

/**
 * Boots one machine or two. `await using network = await startMachines(2)` cuts their power at the end of the block.
 * @throws {MachineUnavailableError} when this computer lacks something that cannot be got.
 * @throws {MachineError} when a machine does not come up.
 */
export function startMachines(count: 1 | 2, options: NetworkOptions = {}): Promise<Network> {
  return Network.start(count, options);
}

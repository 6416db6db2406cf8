import type { Address } from "../ffi/runtime/index.ts";
import { EventFlag, Status, StreamFlag } from "./constants.ts";
import { waitUntil } from "./deadline.ts";
import type { Device } from "./device.ts";
import type { Event } from "./event.ts";
import { Resource, type WorkOrder } from "./resource.ts";

interface Parked {
  readonly event: Address;
  readonly action: () => void;
}

/** An order of work on one device. Never the legacy stream: created non-blocking, so it waits for no other. */
export class Stream extends Resource implements WorkOrder {
  readonly device: Device;
  readonly #handle: Address;
  readonly #parked: Parked[] = [];

  private constructor(device: Device, handle: Address) {
    super(device.children);
    this.device = device;
    this.#handle = handle;
  }

  /** Internal: see {@link Device.createStream}. */
  static create(device: Device): Stream {
    const { runtime } = device;
    device.select();
    runtime.call("cudaStreamCreateWithFlags", runtime.out.address, StreamFlag.nonBlocking);
    return new Stream(device, runtime.out.getAddress(0));
  }

  /** `cudaStream_t`. */
  get unsafeHandle(): Address {
    this.assertOpen();
    return this.#handle;
  }

  /** Whether everything submitted so far has finished. @throws {CudaError} where the work or the device failed */
  idle(): boolean {
    const done = this.device.runtime.ask(Status.notReady, "cudaStreamQuery", this.unsafeHandle);
    this.reap();
    return done;
  }

  /** Work submitted from now on starts after `event`, which may be another device's or another process's. */
  waitFor(event: Event): void {
    event.usedOn(this);
    this.device.runtime.call("cudaStreamWaitEvent", this.unsafeHandle, event.unsafeHandle, 0);
  }

  /** Blocks this thread until the stream is idle. @throws {CudaUsageError} CUDA_DEADLINE */
  synchronize(timeoutMs = 30_000): void {
    waitUntil(() => this.idle(), timeoutMs, "the stream's work");
  }

  whenIdle(action: () => void): void {
    const { runtime } = this.device;
    const busy = !this.closed && runtime.functions.cudaStreamQuery(this.#handle) === Status.notReady;
    // A stream that answers anything else has finished, or has lost its device and will never do so.
    if (!busy) return action();
    this.device.select();
    runtime.call("cudaEventCreateWithFlags", runtime.out.address, EventFlag.disableTiming);
    const event = runtime.out.getAddress(0);
    runtime.call("cudaEventRecord", event, this.#handle);
    this.#parked.push({ event, action });
  }

  /** Runs what was put off and is due. */
  reap(): void {
    const { cudaEventQuery } = this.device.runtime.functions;
    while (this.#parked.length > 0 && cudaEventQuery(this.#parked[0]!.event) !== Status.notReady) this.#runParked();
  }

  /** How many releases wait for this stream. */
  get parked(): number {
    return this.#parked.length;
  }

  protected override release(): void {
    const { functions } = this.device.runtime;
    const idle = (): boolean => functions.cudaStreamQuery(this.#handle) !== Status.notReady;
    waitUntil(idle, 30_000, "the stream's work before it is closed");
    while (this.#parked.length > 0) this.#runParked();
    this.device.free("cudaStreamDestroy", this.#handle);
  }

  #runParked(): void {
    const { event, action } = this.#parked.shift()!;
    this.device.free("cudaEventDestroy", event);
    action();
  }
}

import type { Address } from "../ffi/runtime/index.ts";
import { EventFlag, Status } from "./constants.ts";
import { waitUntil } from "./deadline.ts";
import type { Device } from "./device.ts";
import { Resource } from "./resource.ts";
import type { Stream } from "./stream.ts";

export interface EventOptions {
  /** Keep the time, for {@link Event.millisecondsSince}. Costs a little, and other processes cannot open the event. */
  readonly timing?: boolean;
  /** Another process may open the event: see ipc.ts. */
  readonly interprocess?: boolean;
}

/** A mark in the work of a stream. */
export class Event extends Resource {
  readonly device: Device;
  readonly #handle: Address;

  private constructor(device: Device, handle: Address) {
    super(device.children);
    this.device = device;
    this.#handle = handle;
  }

  /** Internal: see {@link Device.createEvent}. */
  static create(device: Device, { timing = false, interprocess = false }: EventOptions = {}): Event {
    const { runtime } = device;
    device.select();
    const flags = (timing ? 0 : EventFlag.disableTiming) | (interprocess ? EventFlag.interprocess : 0);
    runtime.call("cudaEventCreateWithFlags", runtime.out.address, flags);
    return new Event(device, runtime.out.getAddress(0));
  }

  /** Internal: wraps an event of another process. */
  static adopt(device: Device, handle: Address): Event {
    return new Event(device, handle);
  }

  /** `cudaEvent_t`. */
  get unsafeHandle(): Address {
    this.assertOpen();
    return this.#handle;
  }

  /** Marks the work submitted to `stream` so far; forgets what was marked before. */
  record(stream: Stream): void {
    this.usedOn(stream);
    this.device.runtime.call("cudaEventRecord", this.unsafeHandle, stream.unsafeHandle);
  }

  /** Whether the marked work has finished; true for an event never recorded. */
  reached(): boolean {
    return this.device.runtime.ask(Status.notReady, "cudaEventQuery", this.unsafeHandle);
  }

  /** Blocks this thread until {@link reached}. @throws {CudaUsageError} CUDA_DEADLINE */
  synchronize(timeoutMs = 30_000): void {
    waitUntil(() => this.reached(), timeoutMs, "the event");
  }

  /** Milliseconds of device time from `start` to this event, both reached and both with timing. */
  millisecondsSince(start: Event): number {
    const { runtime } = this.device;
    runtime.call("cudaEventElapsedTime", runtime.out.address, start.unsafeHandle, this.unsafeHandle);
    return runtime.out.view.getFloat32(0, true);
  }

  protected override release(): void {
    this.device.free("cudaEventDestroy", this.#handle);
  }
}

import { readFileSync } from "node:fs";
import type { Address } from "../ffi/runtime/index.ts";
import { DeviceAttribute, type PeerAttribute, Status } from "./constants.ts";
import { DeviceMemory } from "./device-memory.ts";
import { Event, type EventOptions } from "./event.ts";
import { HostRegistration, type HostRegistrationOptions } from "./host-registration.ts";
import { Module } from "./module.ts";
import { PinnedMemory } from "./pinned-memory.ts";
import { Children } from "./resource.ts";
import type { CudaRuntime } from "./runtime.ts";
import { Stream } from "./stream.ts";

/** After these a context is lost for the process's life, and the driver takes back what was in it by itself. */
const lost = new Set<number>([
  Status.cudartUnloading,
  Status.illegalAddress,
  Status.contextIsDestroyed,
  Status.launchFailure,
]);

type Release =
  | "cudaStreamDestroy"
  | "cudaEventDestroy"
  | "cudaFree"
  | "cudaFreeHost"
  | "cudaHostUnregister"
  | "cudaIpcCloseMemHandle";

/** One GPU, and the parent of what is made on it. */
export class Device implements Disposable {
  readonly runtime: CudaRuntime;
  readonly ordinal: number;
  /** Internal: what `close` closes first. */
  readonly children = new Children();
  readonly #peers = new Set<number>();
  #closed = false;

  private constructor(runtime: CudaRuntime, ordinal: number) {
    this.runtime = runtime;
    this.ordinal = ordinal;
  }

  /** Internal: see {@link CudaRuntime.device}. */
  static of(runtime: CudaRuntime, ordinal: number): Device {
    return new Device(runtime, ordinal);
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Makes this the calling thread's device; every call that needs it does so itself. */
  select(): void {
    this.runtime.call("cudaSetDevice", this.ordinal);
  }

  get name(): string {
    const out = this.runtime.out;
    this.runtime.driver.call("cuDeviceGetName", out.address, out.byteLength, this.ordinal);
    return cString(out.bytes);
  }

  /** `0000:17:00.0`, lower case as in sysfs: the name of this GPU in every process of the host. */
  get pciBusId(): string {
    const out = this.runtime.out;
    this.runtime.call("cudaDeviceGetPCIBusId", out.address, 32, this.ordinal);
    return cString(out.bytes).toLowerCase();
  }

  /** NUMA node of the slot, -1 where the host has none or does not say. */
  get numaNode(): number {
    try {
      return Number(readFileSync(`/sys/bus/pci/devices/${this.pciBusId}/numa_node`, "utf8"));
    } catch {
      return -1;
    }
  }

  /** `90` for compute capability 9.0. */
  get computeCapability(): number {
    return (
      10 * this.attribute(DeviceAttribute.computeCapabilityMajor) +
      this.attribute(DeviceAttribute.computeCapabilityMinor)
    );
  }

  /** @throws {CudaError} invalidValue for an attribute that this version does not know */
  attribute(attribute: DeviceAttribute): number {
    this.runtime.call("cudaDeviceGetAttribute", this.runtime.out.address, attribute, this.ordinal);
    return this.runtime.out.i32[0]!;
  }

  /** Bytes of device memory. */
  memory(): { readonly free: number; readonly total: number } {
    const out = this.runtime.out;
    this.select();
    this.runtime.call("cudaMemGetInfo", out.address, out.address + 8);
    return { free: out.getAddress(0), total: out.getAddress(8) };
  }

  /** Whether this device can read and write the memory of `peer` over NVLink or PCIe. */
  canAccess(peer: Device): boolean {
    if (peer.ordinal === this.ordinal) return true;
    this.runtime.call("cudaDeviceCanAccessPeer", this.runtime.out.address, this.ordinal, peer.ordinal);
    return this.runtime.out.i32[0] === 1;
  }

  peerAttribute(attribute: PeerAttribute, peer: Device): number {
    this.runtime.call("cudaDeviceGetP2PAttribute", this.runtime.out.address, attribute, this.ordinal, peer.ordinal);
    return this.runtime.out.i32[0]!;
  }

  /** Lets this device's copies and kernels reach the memory of `peer`. Idempotent; holds for the process. */
  enableAccess(peer: Device): void {
    if (peer.ordinal === this.ordinal || this.#peers.has(peer.ordinal)) return;
    this.select();
    this.runtime.ask(Status.peerAccessAlreadyEnabled, "cudaDeviceEnablePeerAccess", peer.ordinal, 0);
    this.#peers.add(peer.ordinal);
  }

  /** @throws {CudaError} CUDA_OUT_OF_MEMORY */
  allocate(byteLength: number): DeviceMemory {
    return DeviceMemory.allocate(this, byteLength);
  }

  /** Host memory that every device of the process copies from and to at full speed. */
  allocatePinned(byteLength: number): PinnedMemory {
    return PinnedMemory.allocate(this, byteLength);
  }

  /** Pins memory that is mapped already, and must stay so until the registration is closed. */
  registerHost(address: Address, byteLength: number, options?: HostRegistrationOptions): HostRegistration {
    return HostRegistration.register(this, address, byteLength, options);
  }

  createStream(): Stream {
    return Stream.create(this);
  }

  createEvent(options?: EventOptions): Event {
    return Event.create(this, options);
  }

  /** Loads a cubin of this device's architecture. */
  loadModule(cubin: Uint8Array): Module {
    return Module.load(this, cubin);
  }

  /** Internal: gives something back. Fails silently on a lost context: there is nothing left to give. */
  free(call: Release, handle: Address): void {
    this.runtime.functions.cudaSetDevice(this.ordinal);
    const status = this.runtime.functions[call](handle);
    if (!lost.has(status)) this.runtime.check(call, status);
  }

  /** Closes what was made on the device. The GPU itself stays as it is: other users of the process share its context. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.children.closeAll();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function cString(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)));
}

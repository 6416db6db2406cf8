import { setNonBlocking } from "../libc/index.ts";
import type { Address } from "../runtime/index.ts";
import { type InlineVerbs, structs, unsafeInlineVerbs, unsafeReadField, verbs } from "./abi/index.ts";
import { type AsyncEvent, takeAsyncEvent } from "./async-event.ts";
import { CompletionChannel } from "./completion-channel.ts";
import { CompletionQueue, type CompletionQueueOptions } from "./completion-queue.ts";
import type { Device } from "./device.ts";
import { DeviceMemory, type DeviceMemoryOptions } from "./device-memory.ts";
import {
  type DeviceAttributes,
  type ExtendedDeviceAttributes,
  queryDevice,
  queryDeviceExtended,
} from "./device-attributes.ts";
import { checked } from "./errors.ts";
import { type GidEntry, gidTable } from "./gid-table.ts";
import { Port } from "./port.ts";
import { ProtectionDomain } from "./protection-domain.ts";
import { Resource } from "./resource.ts";
import { waitReadable } from "./wait-readable.ts";
import { XrcDomain } from "./xrc-domain.ts";

/** An open device: the parent of everything else. */
export class Context extends Resource {
  readonly device: Device;
  /** The file descriptor on which async events become readable; nonblocking. */
  readonly asyncFd: number;
  readonly completionVectors: number;
  /** The data path of this device's provider, for code that posts and polls by itself. */
  readonly unsafeVerbs: InlineVerbs;

  private constructor(address: Address, device: Device) {
    const { ibv_close_device } = verbs().symbols;
    super({
      kind: "context",
      address,
      parents: [],
      destroy: () => checked("ibv_close_device", ibv_close_device(address)),
    });
    this.device = device;
    this.asyncFd = unsafeReadField(address, structs.context, "async_fd");
    this.completionVectors = unsafeReadField(address, structs.context, "num_comp_vectors");
    this.unsafeVerbs = unsafeInlineVerbs(address);
    setNonBlocking(this.asyncFd);
  }

  /** Takes over what ibv_open_device gave. */
  static unsafeAdopt(address: Address, device: Device): Context {
    return new Context(address, device);
  }

  queryDevice(): DeviceAttributes {
    return queryDevice(this.unsafeAddress);
  }

  queryDeviceExtended(): ExtendedDeviceAttributes {
    return queryDeviceExtended(this.unsafeAddress);
  }

  /** Ports are numbered from 1. */
  port(number = 1): Port {
    return Port.of(this, number);
  }

  /** The used GIDs of all ports. */
  gids(): GidEntry[] {
    return gidTable(this);
  }

  /** The next async event, already acknowledged, or undefined when none is waiting. */
  takeAsyncEvent(): AsyncEvent | undefined {
    return takeAsyncEvent(this);
  }

  /** Blocks this thread until an async event waits or the time is over; true when one does. */
  waitForAsyncEvent(timeoutMs: number): boolean {
    this.requireOpen();
    return waitReadable(this.asyncFd, timeoutMs);
  }

  allocateProtectionDomain(): ProtectionDomain {
    return ProtectionDomain.allocate(this);
  }

  createCompletionChannel(): CompletionChannel {
    return CompletionChannel.create(this);
  }

  createCompletionQueue(options: CompletionQueueOptions): CompletionQueue {
    return CompletionQueue.create(this, options);
  }

  /** Memory on the device itself. @throws {VerbsError} EOPNOTSUPP where it has none. */
  allocateDeviceMemory(options: DeviceMemoryOptions): DeviceMemory {
    return DeviceMemory.allocate(this, options);
  }

  /** An extended connection domain. @throws {VerbsError} EOPNOTSUPP where the device knows no XRC. */
  openXrcDomain(): XrcDomain {
    return XrcDomain.open(this);
  }
}

import { type Address, NativeBuffer } from "../ffi/runtime/index.ts";
import { memcpyDefault, sourceAccessOrderStream, Status } from "./constants.ts";
import type { Device } from "./device.ts";
import { CudaUsageError } from "./errors.ts";
import { memcpyAttributes } from "./layouts.ts";
import type { Span } from "./memory.ts";
import type { Resource } from "./resource.ts";
import type { Stream } from "./stream.ts";

/** Copies a span onto another of the same length, in stream order; the direction follows from the addresses. */
export function copy(stream: Stream, destination: Span, source: Span): void {
  hold(stream, destination, source);
  const { runtime } = stream.device;
  runtime.call(
    "cudaMemcpyAsync",
    destination.address,
    source.address,
    source.byteLength,
    memcpyDefault,
    stream.unsafeHandle,
  );
}

/** Copies between two devices, through the host where neither reaches the other. */
export function copyPeer(
  stream: Stream,
  destination: Span,
  destinationDevice: Device,
  source: Span,
  sourceDevice: Device,
): void {
  hold(stream, destination, source);
  const { runtime } = stream.device;
  runtime.call(
    "cudaMemcpyPeerAsync",
    destination.address,
    destinationDevice.ordinal,
    source.address,
    sourceDevice.ordinal,
    source.byteLength,
    stream.unsafeHandle,
  );
}

/** Sets every byte of a span to `value` (0 to 255). */
export function fill(stream: Stream, destination: Span, value: number): void {
  destination.owner?.usedOn(stream);
  const { runtime } = stream.device;
  runtime.call("cudaMemsetAsync", destination.address, value, destination.byteLength, stream.unsafeHandle);
}

function hold(stream: Stream, destination: Span, source: Span): void {
  if (destination.byteLength !== source.byteLength) {
    const lengths = `${source.byteLength} bytes onto ${destination.byteLength}`;
    throw new CudaUsageError("CUDA_OUT_OF_BOUNDS", `a copy needs spans of one length, not ${lengths}`);
  }
  destination.owner?.usedOn(stream);
  source.owner?.usedOn(stream);
}

/** Statuses by which a library or driver says that it does not do batches, or not between these memories. */
const refusals: ReadonlySet<number> = new Set([Status.invalidValue, Status.notSupported]);

/**
 * Many copies submitted in one call, in no order among each other: `cudaMemcpyBatchAsync` from CUDA 12.8, single copies
 * before, and where a batch is refused. Holds addresses only: whoever adds them keeps the memory alive, or names its owners
 * to {@link CopyBatch.submit}.
 */
export class CopyBatch {
  readonly capacity: number;
  readonly #arena: NativeBuffer;
  readonly #sources: number;
  readonly #sizes: number;
  readonly #attributes: number;
  #count = 0;
  #refused = false;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#sources = capacity * 8;
    this.#sizes = capacity * 16;
    this.#attributes = capacity * 24;
    this.#arena = NativeBuffer.allocate(this.#attributes + memcpyAttributes.byteLength + 16);
    this.#arena.view.setUint32(
      this.#attributes + memcpyAttributes.fields.srcAccessOrder[0],
      sourceAccessOrderStream,
      true,
    );
  }

  get count(): number {
    return this.#count;
  }

  get full(): boolean {
    return this.#count === this.capacity;
  }

  add(destination: Address, source: Address, byteLength: number): void {
    if (this.full) throw new CudaUsageError("CUDA_OUT_OF_BOUNDS", `a batch of ${this.capacity} copies is full`);
    const at = this.#count++ * 8;
    this.#arena.setAddress(at, destination);
    this.#arena.setAddress(this.#sources + at, source);
    this.#arena.setAddress(this.#sizes + at, byteLength);
  }

  /** Submits what was added and empties the batch: the library has read the lists when the call returns. */
  submit(stream: Stream, owners: readonly Resource[] = []): void {
    if (this.#count === 0) return;
    for (const owner of owners) owner.usedOn(stream);
    const count = this.#count;
    this.#count = 0;
    if (this.#refused || !this.#submitBatch(stream, count)) this.#submitSingly(stream, count);
  }

  /** False where the library has no batches, or would not take this one. */
  #submitBatch({ device: { runtime }, unsafeHandle }: Stream, count: number): boolean {
    const { batchCopy } = runtime;
    if (batchCopy === undefined) return false;
    const { address } = this.#arena;
    const [sources, sizes] = [address + this.#sources, address + this.#sizes];
    const attributes = address + this.#attributes;
    const firstIndex = attributes + memcpyAttributes.byteLength;
    // 12.x has one more parameter, where the failing copy's index goes; the unused word behind the first index takes it.
    const status =
      batchCopy.major === 13
        ? batchCopy.function(address, sources, sizes, count, attributes, firstIndex, 1, unsafeHandle)
        : batchCopy.function(address, sources, sizes, count, attributes, firstIndex, 1, firstIndex + 8, unsafeHandle);
    this.#refused = refusals.has(status);
    if (!this.#refused) runtime.check("cudaMemcpyBatchAsync", status);
    return !this.#refused;
  }

  /** What is wrong with a copy is said here, if it was that which was refused. */
  #submitSingly({ device: { runtime }, unsafeHandle }: Stream, count: number): void {
    for (let at = 0; at < count * 8; at += 8) {
      const [to, from] = [this.#arena.getAddress(at), this.#arena.getAddress(this.#sources + at)];
      runtime.call("cudaMemcpyAsync", to, from, this.#arena.getAddress(this.#sizes + at), memcpyDefault, unsafeHandle);
    }
  }
}

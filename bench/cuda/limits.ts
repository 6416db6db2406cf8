import {
  copy,
  CudaRuntime,
  copyPeer,
  type Device,
  type DeviceMemory,
  type PinnedMemory,
  type Stream,
} from "../../cuda/index.ts";

/** What the hardware does with the same bytes in one piece, from this process. */
export class CopyLimit implements Disposable {
  readonly name: string;
  readonly #devices: readonly [Device, Device];
  readonly #stream: Stream;
  readonly #source: DeviceMemory;
  readonly #destination: DeviceMemory | PinnedMemory;

  /** @param gpus where the bytes are and where they go; to `host`, pinned memory */
  constructor(gpus: readonly [number, number | "host"], byteLength: number) {
    const runtime = CudaRuntime.open();
    const [from, to] = gpus;
    const source = runtime.device(from);
    const destination = to === "host" ? source : runtime.device(to);
    if (destination !== source && source.canAccess(destination)) source.enableAccess(destination);
    this.#devices = [source, destination];
    this.#stream = source.createStream();
    this.#source = source.allocate(byteLength);
    this.#destination = to === "host" ? source.allocatePinned(byteLength) : destination.allocate(byteLength);
    this.name =
      to === "host" ? "cudaMemcpy to pinned memory" : from === to ? "cudaMemcpy on the device" : "cudaMemcpyPeerAsync";
  }

  /** Seconds of one copy, from its call to its end. */
  run(): number {
    const [source, destination] = this.#devices;
    const start = performance.now();
    if (source === destination) copy(this.#stream, this.#destination, this.#source);
    else copyPeer(this.#stream, this.#destination, destination, this.#source, source);
    while (!this.#stream.idle());
    return (performance.now() - start) / 1000;
  }

  [Symbol.dispose](): void {
    this.#stream.close();
    this.#source.close();
    this.#destination.close();
  }
}

import { type Address, NativeBuffer } from "../ffi/runtime/index.ts";
import { type KernelAttribute, LaunchParameter } from "./constants.ts";
import type { Device } from "./device.ts";
import { CudaUsageError } from "./errors.ts";
import { Resource } from "./resource.ts";
import type { Stream } from "./stream.ts";

/** Types of kernel parameters; addresses are `u64`. */
export type KernelParameter = "u32" | "u64";

export interface LaunchShape {
  /** Blocks in x and y. */
  readonly grid: readonly [number, number];
  /** Threads of a block. */
  readonly block: number;
}

/** Machine code of one device. */
export class Module extends Resource {
  readonly device: Device;
  readonly #handle: Address;

  private constructor(device: Device, handle: Address) {
    super(device.children);
    this.device = device;
    this.#handle = handle;
  }

  /** Internal: see {@link Device.loadModule}. */
  static load(device: Device, cubin: Uint8Array): Module {
    const { driver } = device.runtime;
    const image = NativeBuffer.allocate(cubin.byteLength);
    image.bytes.set(cubin);
    device.select();
    driver.call("cuModuleLoadData", driver.out.address, image.address);
    return new Module(device, driver.out.getAddress(0));
  }

  kernel(name: string, parameters: readonly KernelParameter[]): Kernel {
    this.assertOpen();
    const { driver } = this.device.runtime;
    driver.call("cuModuleGetFunction", driver.out.address, this.#handle, name);
    return new Kernel(this, name, driver.out.getAddress(0), parameters);
  }

  protected override release(): void {
    this.device.select();
    this.device.runtime.driver.call("cuModuleUnload", this.#handle);
  }
}

/** One `extern "C"` kernel. Parameters are packed as the compiler lays them out: each aligned to its size. */
export class Kernel {
  readonly module: Module;
  readonly name: string;
  readonly #handle: Address;
  readonly #offsets: readonly { readonly type: KernelParameter; readonly offset: number }[];
  readonly #packed: NativeBuffer;
  readonly #extra: NativeBuffer;

  /** Internal: see {@link Module.kernel}. */
  constructor(module: Module, name: string, handle: Address, parameters: readonly KernelParameter[]) {
    this.module = module;
    this.name = name;
    this.#handle = handle;
    let end = 0;
    this.#offsets = parameters.map((type) => {
      const size = type === "u32" ? 4 : 8;
      const offset = Math.ceil(end / size) * size;
      end = offset + size;
      return { type, offset };
    });
    this.#packed = NativeBuffer.allocate(end + 8);
    this.#extra = NativeBuffer.allocate(48);
    const sizeAt = this.#extra.address + 40;
    const list = [LaunchParameter.bufferPointer, this.#packed.address, LaunchParameter.bufferSize, sizeAt];
    [...list, LaunchParameter.end, end].forEach((word, index) => this.#extra.setAddress(index * 8, word));
  }

  attribute(attribute: KernelAttribute): number {
    const { driver } = this.module.device.runtime;
    driver.call("cuFuncGetAttribute", driver.out.address, attribute, this.#handle);
    return driver.out.i32[0]!;
  }

  /** Submits one launch. The arguments are copied before this returns; what they point at must live until it has run. */
  launch(stream: Stream, { grid, block }: LaunchShape, ...args: number[]): void {
    if (args.length !== this.#offsets.length) {
      const counts = `${this.#offsets.length} arguments, came ${args.length}`;
      throw new CudaUsageError("CUDA_BAD_ARGUMENT", `${this.name} takes ${counts}`);
    }
    this.module.usedOn(stream);
    this.#offsets.forEach(({ type, offset }, index) => {
      if (type === "u32") this.#packed.u32[offset >>> 2] = args[index]!;
      else this.#packed.setAddress(offset, args[index]!);
    });
    const { device } = this.module;
    device.select();
    const { driver } = device.runtime;
    const { address } = this.#extra;
    driver.call("cuLaunchKernel", this.#handle, grid[0], grid[1], 1, block, 1, 1, 0, stream.unsafeHandle, 0, address);
  }
}

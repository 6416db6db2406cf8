import { NativeBuffer, openLibrary, unsafeReadCString } from "../ffi/runtime/index.ts";
import { CudaError } from "./errors.ts";
import { candidates, libcuda } from "./library.ts";
import { StatusApi } from "./status-api.ts";
import { driverSymbols } from "./symbols.ts";

/** libcuda, the driver's own interface: kernels, address ranges, dma-buf. */
export class CudaDriver extends StatusApi<typeof driverSymbols> {
  readonly path: string;
  /** Out parameters of the call at hand. */
  readonly out = NativeBuffer.allocate(16);

  private constructor(path: string, functions: CudaDriver["functions"]) {
    super(functions, (call, status) => {
      const text = (name: "cuGetErrorName" | "cuGetErrorString"): string => {
        const out = NativeBuffer.allocate(8);
        functions[name](status, out.address);
        return unsafeReadCString(out.getAddress(0)) || "unknown status";
      };
      return new CudaError({ call, status, statusName: text("cuGetErrorName"), text: text("cuGetErrorString") });
    });
    this.path = path;
  }

  /**
   * Loads `path`, else libcuda.so.1 (or the file that `KVWIRE_LIBCUDA` names), and initialises it.
   * @throws {LibraryNotFoundError} where no driver is installed
   * @throws {CudaError} where the driver finds no device
   */
  static open(path?: string): CudaDriver {
    const library = openLibrary({
      name: libcuda.name,
      candidates: path === undefined ? candidates(libcuda, []) : [path],
      symbols: driverSymbols,
      hint: "libcuda.so.1 is installed by the NVIDIA driver; KVWIRE_LIBCUDA names another file.",
    });
    const driver = new CudaDriver(library.path, library.symbols);
    driver.call("cuInit", 0);
    return driver;
  }

  /** 1000 × major + 10 × minor of the newest CUDA that the driver serves. */
  get version(): number {
    this.call("cuDriverGetVersion", this.out.address);
    return this.out.i32[0]!;
  }
}

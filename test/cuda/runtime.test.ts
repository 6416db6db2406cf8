import { describe, expect, test } from "bun:test";
import { CudaDriverMissingError, CudaRuntime } from "../../cuda/index.ts";
import { ipcSymbols, runtimeSymbols } from "../../cuda/symbols.ts";
import { type NativeType, NativeBuffer } from "../../ffi/runtime/index.ts";
import { driverInstalled, realLibraries, titled } from "./real-libraries.ts";

/** These answer about the library itself. */
const driverless = ["cudaDriverGetVersion", "cudaRuntimeGetVersion"];

for (const libraries of realLibraries) {
  describe.skipIf(libraries.missing !== undefined)(titled("libcudart", libraries), () => {
    const open = (): CudaRuntime => CudaRuntime.open({ cudart: libraries.cudart });

    test("says its version", () => {
      expect(Math.floor(open().version / 1000)).toBe(libraries.major);
    });

    test("binds the batch copy in the form of its version", () => {
      expect(open().batchCopy?.major).toBe(libraries.major);
    });

    describe.skipIf(driverInstalled)("without a driver", () => {
      test("counting devices says that the driver is missing and where it was looked for", () => {
        expect(() => open().deviceCount()).toThrow(
          expect.objectContaining({
            name: "CudaDriverMissingError",
            kind: "CUDA_DRIVER_MISSING",
            call: "cudaGetDeviceCount",
            status: 35,
            code: "cudaErrorInsufficientDriver",
            message: expect.stringContaining("libcuda.so.1"),
          }),
        );
      });

      test("every bound call that needs a device answers with the same typed error", () => {
        const runtime = open();
        const scratch = NativeBuffer.allocate(4096);
        const dummy: Partial<Record<NativeType, number | bigint | string>> = {
          pointer: scratch.address,
          cstring: "0000:00:00.0",
          u64: 0n,
        };
        const calls = Object.entries({ ...runtimeSymbols, ...ipcSymbols }).filter(
          ([name, { result }]) => result === "i32" && !driverless.includes(name),
        );
        expect(calls.length).toBeGreaterThan(30);
        for (const [name, { parameters }] of calls) {
          const args = parameters.map((type) => dummy[type] ?? 0);
          expect(() => runtime.call(name as "cudaFree", ...(args as [number]))).toThrow(CudaDriverMissingError);
        }
      });

      test("the public way to a device fails before it makes anything", () => {
        expect(() => open().device(0)).toThrow(CudaDriverMissingError);
        expect(() => open().deviceAt("0000:17:00.0")).toThrow(CudaDriverMissingError);
      });
    });
  });
}

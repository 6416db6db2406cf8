import { describe, expect, test } from "bun:test";
import { candidates, CudaRuntime, cudart, libcuda, nvrtc } from "../../cuda/index.ts";

const environment = { HOME: "/nowhere", XDG_CACHE_HOME: "/cache" };

describe("where libraries are looked for", () => {
  test("an override is the only candidate", () => {
    expect(candidates(cudart, [13, 12], { ...environment, KVWIRE_CUDART: "/my/libcudart.so" })).toEqual([
      "/my/libcudart.so",
    ]);
  });

  test("the dynamic linker comes first, then toolkits, then wheels, one major version after the other", () => {
    const list = candidates(cudart, [13, 12], { ...environment, CUDA_HOME: "/opt/cuda", VIRTUAL_ENV: "/no/venv" });
    const places = [
      "libcudart.so.13",
      "/opt/cuda/lib64/libcudart.so.13",
      "/usr/local/cuda/lib64/libcudart.so.13",
      "/no/venv/lib/python3*/site-packages/nvidia/cu13/lib/libcudart.so.13",
      "/cache/kvwire/cuda-wheels-13/nvidia/cu13/lib/libcudart.so.13",
      "libcudart.so.12",
      "/cache/kvwire/cuda-wheels-12/nvidia/cuda_runtime/lib/libcudart.so.12",
    ];
    expect(list.filter((path) => places.includes(path))).toEqual(places);
  });

  test("12's NVRTC has a folder of its own, and the driver is the dynamic linker's", () => {
    expect(candidates(nvrtc, [12], environment)).toContain(
      "/cache/kvwire/cuda-wheels-12/nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
    );
    expect(candidates(libcuda, [], environment)).toEqual(["libcuda.so.1"]);
  });

  test("a file that is not there is named, with the variable that overrides", () => {
    expect(() => CudaRuntime.open({ cudart: "/no/libcudart.so.13" })).toThrow(
      expect.objectContaining({ code: "LIBRARY_NOT_FOUND", message: expect.stringContaining("/no/libcudart.so.13") }),
    );
    expect(() => CudaRuntime.open({ cudart: "/no/libcudart.so.13" })).toThrow("KVWIRE_CUDART");
  });

  test("cuda-info says what is missing and exits 1", () => {
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, "examples/cuda-info.ts"], {
      env: { ...process.env, KVWIRE_CUDART: "/no/libcudart.so.13" },
    });
    expect(stderr.toString()).toContain("/no/libcudart.so.13");
    expect(exitCode).toBe(1);
  });
});

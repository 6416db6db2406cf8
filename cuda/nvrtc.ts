import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { NativeBuffer, openLibrary, unsafeReadCString } from "../ffi/runtime/index.ts";
import { CompileError, CudaError } from "./errors.ts";
import { cacheFolder, candidates, nvrtc } from "./library.ts";
import { StatusApi } from "./status-api.ts";
import { nvrtcSymbols } from "./symbols.ts";

/** `NVRTC_ERROR_COMPILATION`. */
const compilationFailed = 6;

export interface KernelSource {
  /** For messages, and the name that the compiler's log shows. */
  readonly name: string;
  /** CUDA C++; kernels are `extern "C"`. */
  readonly text: string;
}

export interface Compiled {
  readonly cubin: Uint8Array;
  /** What the compiler said; with `verbose`, registers and spills of every kernel. */
  readonly log: string;
}

/** The run-time compiler: CUDA C++ to machine code of one architecture. Needs no GPU. */
export class Nvrtc extends StatusApi<typeof nvrtcSymbols> {
  readonly path: string;
  /** `13.2`. */
  readonly version: string;
  readonly #out = NativeBuffer.allocate(16);

  private constructor(path: string, functions: Nvrtc["functions"]) {
    super(functions, (call, status) => {
      const statusName = unsafeReadCString(functions.nvrtcGetErrorString(status));
      return new CudaError({ call, status, statusName, text: "the compiler failed" });
    });
    this.path = path;
    this.call("nvrtcVersion", this.#out.address, this.#out.address + 4);
    this.version = `${this.#out.i32[0]}.${this.#out.i32[1]}`;
  }

  /**
   * Loads `path`, or the best of the places where libnvrtc is kept. A cubin of any version loads on every driver of the same
   * or a newer major version, so `majors` should begin with the runtime library's.
   * @throws {LibraryNotFoundError} naming every path tried
   */
  static open(majors: readonly number[] = [13, 12], path?: string): Nvrtc {
    const library = openLibrary({
      name: nvrtc.name,
      candidates: path === undefined ? candidates(nvrtc, majors) : [path],
      symbols: nvrtcSymbols,
      hint: "Install the CUDA toolkit or the PyPI wheel nvidia-cuda-nvrtc; KVWIRE_NVRTC names another file.",
    });
    return new Nvrtc(library.path, library.symbols);
  }

  /** Compute capabilities that this version compiles for, `90` for 9.0. */
  get architectures(): readonly number[] {
    this.call("nvrtcGetNumSupportedArchs", this.#out.address);
    const list = NativeBuffer.allocate(this.#out.i32[0]! * 4);
    this.call("nvrtcGetSupportedArchs", list.address);
    return [...list.i32.subarray(0, list.byteLength / 4)];
  }

  /**
   * @param architecture compute capability, `90` for sm_90
   * @throws {CompileError} with the compiler's log
   */
  compile(source: KernelSource, architecture: number, { verbose = false } = {}): Compiled {
    const target = `sm_${architecture}`;
    const options = [`--gpu-architecture=${target}`, "--std=c++17", ...(verbose ? ["--ptxas-options=--verbose"] : [])];
    const texts = options.map((option) => NativeBuffer.fromString(option));
    const list = NativeBuffer.allocate(texts.length * 8);
    texts.forEach((text, index) => list.setAddress(index * 8, text.address));

    const handle = NativeBuffer.allocate(8);
    this.call("nvrtcCreateProgram", handle.address, source.text, source.name, 0, 0, 0);
    try {
      const program = handle.getAddress(0);
      const status = this.functions.nvrtcCompileProgram(program, texts.length, list.address);
      const log = new TextDecoder().decode(this.#read("nvrtcGetProgramLog", program)).replace(/\0$/, "");
      if (status === compilationFailed) throw new CompileError(source.name, target, log);
      this.check("nvrtcCompileProgram", status);
      return { cubin: this.#read("nvrtcGetCUBIN", program), log };
    } finally {
      this.call("nvrtcDestroyProgram", handle.address);
    }
  }

  #read(what: "nvrtcGetProgramLog" | "nvrtcGetCUBIN", program: number): Uint8Array {
    this.call(`${what}Size`, program, this.#out.address);
    const bytes = NativeBuffer.allocate(this.#out.getAddress(0));
    this.call(what, program, bytes.address);
    return bytes.bytes;
  }
}

/** The cubin of `source` for `architecture`, compiled once per source, architecture and compiler version and kept on disk. */
export function cachedCubin(
  compiler: Pick<Nvrtc, "version" | "compile">,
  source: KernelSource,
  architecture: number,
  folder: string = join(cacheFolder(), "cubins"),
): Uint8Array {
  const hash = new Bun.CryptoHasher("sha256").update(source.text).digest("hex").slice(0, 16);
  const file = join(folder, `${source.name}-sm_${architecture}-nvrtc${compiler.version}-${hash}.cubin`);
  try {
    return readFileSync(file);
  } catch {
    const { cubin } = compiler.compile(source, architecture);
    mkdirSync(folder, { recursive: true });
    // Two processes may compile at once: each writes its own file, and a rename is seen whole or not at all.
    const draft = `${file}.${process.pid}`;
    writeFileSync(draft, cubin);
    renameSync(draft, file);
    return cubin;
  }
}

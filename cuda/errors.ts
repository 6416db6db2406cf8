import { Status } from "./constants.ts";

/** What a program can do about a failure, as opposed to which of the many statuses it was. */
export type CudaErrorKind =
  "CUDA_DRIVER_MISSING" | "CUDA_NO_DEVICE" | "CUDA_OUT_OF_MEMORY" | "CUDA_NOT_SUPPORTED" | "CUDA_CALL_FAILED";

const kinds: Partial<Record<number, CudaErrorKind>> = {
  [Status.memoryAllocation]: "CUDA_OUT_OF_MEMORY",
  [Status.insufficientDriver]: "CUDA_DRIVER_MISSING",
  [Status.noDevice]: "CUDA_NO_DEVICE",
  [Status.notSupported]: "CUDA_NOT_SUPPORTED",
};

export interface CudaFailure {
  /** The C function that answered. */
  readonly call: string;
  readonly status: number;
  /** `cudaGetErrorName`, `cuGetErrorName`: `cudaErrorInvalidValue`, `CUDA_ERROR_INVALID_VALUE`. */
  readonly statusName: string;
  /** What the library says of the status. */
  readonly text: string;
}

/** A call of libcudart, libcuda or NVRTC did not answer success. */
export class CudaError extends Error {
  /** The status by name: `cudaErrorInvalidValue`. */
  readonly code: string;
  readonly kind: CudaErrorKind;
  readonly call: string;
  readonly status: number;

  constructor({ call, status, statusName, text }: CudaFailure, note = "", cause?: unknown) {
    super(`${call} answered ${statusName} (${status}): ${text}${note}`, cause === undefined ? undefined : { cause });
    this.name = "CudaError";
    this.code = statusName;
    this.kind = kinds[status] ?? "CUDA_CALL_FAILED";
    this.call = call;
    this.status = status;
  }
}

/** There is no NVIDIA driver (`cause` says where it was looked for), or it is older than the runtime library needs. */
export class CudaDriverMissingError extends CudaError {
  constructor(failure: CudaFailure, note: string, cause?: unknown) {
    super(failure, `. ${note}`, cause);
    this.name = "CudaDriverMissingError";
  }
}

/** The program asked for something that cannot be right; no library was called. */
export class CudaUsageError extends Error {
  readonly code: "CUDA_CLOSED" | "CUDA_OUT_OF_BOUNDS" | "CUDA_DEADLINE" | "CUDA_BAD_ARGUMENT";

  constructor(code: CudaUsageError["code"], message: string) {
    super(message);
    this.name = "CudaUsageError";
    this.code = code;
  }
}

/** A kernel did not compile; `log` is the compiler's. */
export class CompileError extends Error {
  readonly code = "CUDA_COMPILE_FAILED";
  readonly log: string;

  constructor(name: string, architecture: string, log: string) {
    super(`${name} does not compile for ${architecture}:\n${log}`);
    this.name = "CompileError";
    this.log = log;
  }
}

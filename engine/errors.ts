/** The checkpoint cannot be loaded: what was expected, what was found, in which file. */
export class CheckpointError extends Error {
  readonly code: CheckpointErrorCode;

  constructor(code: CheckpointErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CheckpointError";
    this.code = code;
  }
}

export type CheckpointErrorCode =
  | "CHECKPOINT_NOT_FOUND"
  | "CONFIG_INVALID"
  | "ARCHITECTURE_UNKNOWN"
  | "UNSUPPORTED"
  | "SAFETENSORS_INVALID"
  | "TENSOR_MISSING"
  | "TENSOR_SHAPE"
  | "TOKENIZER_INVALID";

/** A command-line option that cannot be honoured; the message names the flag and what is allowed. */
export class OptionError extends Error {
  readonly code = "OPTION_INVALID";
  readonly flag: string;

  constructor(flag: string, message: string) {
    super(`${flag}: ${message}`);
    this.name = "OptionError";
    this.flag = flag;
  }
}

/** A request that is refused or that failed. `status` is the HTTP status a server answers it with. */
export class RequestError extends Error {
  readonly code: RequestErrorCode;
  readonly status: 400 | 404 | 500 | 503;

  constructor(code: RequestErrorCode, status: RequestError["status"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RequestError";
    this.code = code;
    this.status = status;
  }

  static invalid(message: string): RequestError {
    return new RequestError("REQUEST_INVALID", 400, message);
  }
}

export type RequestErrorCode =
  "REQUEST_INVALID" | "REQUEST_ABORTED" | "ENGINE_CLOSED" | "STEP_FAILED" | "TRANSFER_FAILED";

/** Fewer pages are free than were asked for. Callers ask first: this is a bug shown early, not a state to handle. */
export class PoolExhaustedError extends Error {
  readonly code = "POOL_EXHAUSTED";

  constructor(wanted: number, free: number) {
    super(`${wanted} pages wanted from the KV pool, ${free} free`);
    this.name = "PoolExhaustedError";
  }
}

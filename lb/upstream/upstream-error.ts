/** Why an exchange with a worker gave no whole response. */
export type UpstreamFailure =
  | "CONNECT_FAILED"
  | "CONNECT_TIMEOUT"
  | "STALE_CONNECTION"
  | "RESET_BEFORE_HEAD"
  | "TRUNCATED"
  | "PROTOCOL"
  | "TIMEOUT";

/** A transport failure of one exchange. An HTTP status, however bad, is an answer and never this. */
export class UpstreamError extends Error {
  readonly code: UpstreamFailure;

  constructor(code: UpstreamFailure, origin: string, detail: string, cause?: unknown) {
    super(`${origin}: ${detail}`, { cause });
    this.name = "UpstreamError";
    this.code = code;
  }

  /** The worker may never have read the request: sending it again cannot run it twice for the client. */
  get beforeAnyByte(): boolean {
    return this.code !== "TRUNCATED" && this.code !== "PROTOCOL" && this.code !== "TIMEOUT";
  }
}

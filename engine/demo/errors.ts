/** The demonstration cannot go on; the message is for the person who started it. */
export class DemoError extends Error {
  readonly code: DemoErrorCode;

  constructor(code: DemoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DemoError";
    this.code = code;
  }
}

export type DemoErrorCode = "OPTION_INVALID" | "SERVER_ENDED" | "DEADLINE" | "REQUEST_FAILED";

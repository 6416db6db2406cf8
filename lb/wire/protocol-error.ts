/** The peer broke HTTP/1.1: what it sent must not be relayed, and its connection must not be used again. */
export class ProtocolError extends Error {
  readonly code = "HTTP_PROTOCOL";
  /** What a client is answered that sent it. */
  readonly status: number;

  constructor(expected: string, came: string, status = 400) {
    super(`expected ${expected}, came ${came}`);
    this.name = "ProtocolError";
    this.status = status;
  }
}

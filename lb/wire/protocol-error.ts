/** The peer broke HTTP/1.1: what it sent must not be relayed, and its connection must not be used again. */
export class ProtocolError extends Error {
  readonly code = "UPSTREAM_PROTOCOL";

  constructor(expected: string, came: string) {
    super(`expected ${expected}, came ${came}`);
    this.name = "ProtocolError";
  }
}

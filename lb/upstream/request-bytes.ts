import type { PieceBody } from "../request/index.ts";

/** Below this a copy is cheaper than another system call; above it the body goes out from where it lies. */
const JOIN_BELOW = 16 * 1024;

const NO_BODY: PieceBody = { pieces: [], length: 0 };

/**
 * The bytes of one request. `prefix` is the request line and the fields that never change, `fields` those of this request,
 * both in lines that end in CRLF; length and the empty line are added here.
 */
export function requestBytes(prefix: string, fields: string, body: PieceBody = NO_BODY): readonly Uint8Array[] {
  const head = `${prefix}${fields}content-length: ${body.length}\r\n\r\n`;
  if (body.length > JOIN_BELOW) return [Buffer.from(head, "latin1"), ...body.pieces];
  const bytes = Buffer.allocUnsafe(head.length + body.length);
  let at = bytes.write(head, 0, "latin1");
  for (const piece of body.pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return [bytes];
}

import type { SplicedBody } from "../request/index.ts";

/** A request to be sent: its head without the closing empty line, and its body. */
export interface Outgoing {
  readonly head: string;
  readonly body: SplicedBody;
}

/** Above this a body goes out from where it lies; below, one copy into the scratch buffer is cheaper than two system calls. */
const JOIN_BELOW = 128 * 1024;
const MAX_HEAD = 64 * 1024;

/** The socket copies what it takes at once, so one buffer serves every connection of this thread. */
const scratch = Buffer.alloc(JOIN_BELOW + MAX_HEAD);

/** Writes some bytes; gives how many were taken, negative if none ever will be. */
type Write = (bytes: Buffer, start: number, length: number) => number;

/** Sends a request; gives what the socket did not take. */
export function sendOutgoing({ head, body }: Outgoing, write: Write): Buffer[] {
  const text = `${head}content-length: ${body.length}\r\n\r\n`;
  if (body.length <= JOIN_BELOW && text.length <= MAX_HEAD) {
    const length = body.copyTo(scratch, scratch.write(text, 0, "latin1"));
    const sent = write(scratch, 0, length);
    return sent < 0 || sent >= length ? [] : [Buffer.from(scratch.subarray(sent, length))];
  }
  return sendPieces([Buffer.from(text, "latin1"), ...body.pieces()], write);
}

/** Sends pieces one after another; gives those that were not taken. */
export function sendPieces(pieces: readonly Buffer[], write: Write): Buffer[] {
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!;
    const sent = write(piece, 0, piece.length);
    if (sent < 0) return [];
    if (sent < piece.length) return [piece.subarray(sent), ...pieces.slice(i + 1)];
  }
  return [];
}

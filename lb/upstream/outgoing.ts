import type { SplicedBody } from "../request/index.ts";
import { writeLatin1 } from "../wire/index.ts";

/** What is sent to a worker after the lines that are the worker's own; both legs of a pair may share it. */
export interface Outgoing {
  /** Header lines, each ending in CRLF. */
  readonly fields: string;
  readonly body: SplicedBody;
}

/** Above this a body goes out from where it lies; below, one copy into the scratch buffer is cheaper than two system calls. */
const JOIN_BELOW = 128 * 1024;
const MAX_PREFIX = 16 * 1024;
const MAX_FIELDS = 64 * 1024;

/**
 * The socket copies what it takes at once, so one buffer serves every connection of this thread. A message is put together
 * behind a gap in which each leg's own lines are then placed: the second leg costs one short copy.
 */
const scratch = Buffer.alloc(MAX_PREFIX + MAX_FIELDS + JOIN_BELOW);
/** The message that lies in the scratch buffer, and where it ends. */
let composed: Outgoing | undefined;
let composedEnd = 0;

/** Writes some bytes; gives how many were taken, negative if none ever will be. */
type Write = (bytes: Buffer, start: number, length: number) => number;

/** Sends a request whose first lines are `prefix`; gives what the socket did not take. */
export function sendOutgoing(prefix: Buffer, message: Outgoing, write: Write): Buffer[] {
  if (message !== composed && !compose(message)) return sendPieces([prefix, ...piecesOf(message)], write);
  if (prefix.length > MAX_PREFIX) {
    return sendPieces([prefix, Buffer.from(scratch.subarray(MAX_PREFIX, composedEnd))], write);
  }
  const start = MAX_PREFIX - prefix.length;
  prefix.copy(scratch, start);
  const sent = write(scratch, start, composedEnd - start);
  return sent < 0 || start + sent >= composedEnd ? NOTHING : [Buffer.from(scratch.subarray(start + sent, composedEnd))];
}

const NOTHING: Buffer[] = [];

const lastLines = ({ fields, body }: Outgoing): string => `${fields}content-length: ${body.length}\r\n\r\n`;

/** Puts a message into the scratch buffer; false for one that is too large. */
function compose(message: Outgoing): boolean {
  const { body } = message;
  if (body.length > JOIN_BELOW) return false;
  const text = lastLines(message);
  if (text.length > MAX_FIELDS) return false;
  composed = message;
  composedEnd = body.copyTo(scratch, MAX_PREFIX + writeLatin1(scratch, text, MAX_PREFIX));
  return true;
}

const piecesOf = (message: Outgoing): Buffer[] => [Buffer.from(lastLines(message), "latin1"), ...message.body.pieces()];

/** Sends pieces one after another; gives those that were not taken. */
export function sendPieces(pieces: readonly Buffer[], write: Write): Buffer[] {
  for (let i = 0; i < pieces.length; i++) {
    const piece = pieces[i]!;
    const sent = write(piece, 0, piece.length);
    if (sent < 0) return NOTHING;
    if (sent < piece.length) return [piece.subarray(sent), ...pieces.slice(i + 1)];
  }
  return NOTHING;
}

/** Replaces the bytes [start, end) of a body by a text; with an empty text, cuts them out. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** A body as the pieces to write one after another: views of the client's bytes, and what was put between them. */
export interface PieceBody {
  readonly pieces: readonly Uint8Array[];
  readonly length: number;
}

/**
 * Applies edits (ascending, disjoint) and puts `members` (`"key":value,…`) before the closing brace at `close`.
 * No byte of the client's body is copied or changed otherwise.
 */
export function splice(
  body: Uint8Array,
  edits: readonly Edit[],
  close: number,
  comma: boolean,
  members: string,
): PieceBody {
  const pieces: Uint8Array[] = [];
  let length = 0;
  let at = 0;
  const put = (piece: Uint8Array): void => {
    if (piece.length === 0) return;
    pieces.push(piece);
    length += piece.length;
  };
  for (const edit of edits) {
    put(body.subarray(at, edit.start));
    if (edit.text !== "") put(Buffer.from(edit.text));
    at = edit.end;
  }
  put(body.subarray(at, close));
  put(Buffer.from(comma ? `,${members}}` : `${members}}`));
  put(body.subarray(close + 1));
  return { pieces, length };
}

import type { TokenSpan } from "../step.ts";

/** A batch of spans laid out as rows, one per token, in batch order. */
export class Batch {
  readonly rows: number;
  readonly tokens: Int32Array;
  readonly positions: Int32Array;
  /** For each row the slot of every position of its sequence; row r attends to the first positions[r] + 1 of them. */
  readonly slots: readonly Int32Array[];
  /** Rows whose logits are wanted. */
  readonly wanted: Int32Array;

  constructor(spans: readonly TokenSpan[], pageSize: number) {
    this.rows = spans.reduce((sum, span) => sum + span.tokens.length, 0);
    this.tokens = new Int32Array(this.rows);
    this.positions = new Int32Array(this.rows);
    const slots: Int32Array[] = [];
    const wanted: number[] = [];
    let row = 0;
    for (const { tokens, start, pages, logitsFrom } of spans) {
      const table = slotTable(pages, pageSize, start + tokens.length);
      for (let i = 0; i < tokens.length; i++, row++) {
        this.tokens[row] = tokens[i]!;
        this.positions[row] = start + i;
        slots.push(table);
        if (i >= logitsFrom) wanted.push(row);
      }
    }
    this.slots = slots;
    this.wanted = Int32Array.from(wanted);
  }

  /** The slot that row `row`'s own keys and values go to. */
  slot(row: number): number {
    return this.slots[row]![this.positions[row]!]!;
  }
}

function slotTable(pages: Int32Array, pageSize: number, length: number): Int32Array {
  const table = new Int32Array(length);
  for (let position = 0; position < length; position++) {
    const page = Math.floor(position / pageSize);
    table[position] = pages[page]! * pageSize + (position - page * pageSize);
  }
  return table;
}

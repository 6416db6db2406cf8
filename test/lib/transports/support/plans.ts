import type { WritePlan } from "../../../../lib/planner/index.ts";

export interface Piece {
  readonly source: number;
  readonly destination: number;
  readonly byteLength: number;
}

/** A plan of one write a piece, in their order. */
export function planOf(pieces: readonly Piece[]): WritePlan {
  const length = Float64Array.from(pieces, (piece) => piece.byteLength);
  return {
    writeCount: pieces.length,
    bytes: pieces.reduce((sum, piece) => sum + piece.byteLength, 0),
    destination: Float64Array.from(pieces, (piece) => piece.destination),
    length,
    firstSegment: Uint32Array.from(pieces, (_, i) => i),
    segmentCount: new Uint32Array(pieces.length).fill(1),
    segmentCountTotal: pieces.length,
    segmentSource: Float64Array.from(pieces, (piece) => piece.source),
    segmentLength: length,
  };
}

export const emptyPlan = planOf([]);

/** Seeded: the same numbers every time. Numerical Recipes' 32-bit linear congruential generator. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 0x1_0000_0000) * limit);
  }

  shuffled(count: number): number[] {
    const values = Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [values[i], values[j]] = [values[j]!, values[i]!];
    }
    return values;
  }
}

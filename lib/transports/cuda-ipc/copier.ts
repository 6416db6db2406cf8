import type { QueuedBatch } from "../pairs/index.ts";
import type { OutboundEnd } from "../transport.ts";

/** Moves pages in numbered turns, in order; several may be under way. */
export interface Copier {
  readonly repeatsGroups: NonNullable<OutboundEnd["repeatsGroups"]>;
  /** Whether another turn may be begun. */
  readonly ready: boolean;
  /** The number of the turn begun last. */
  readonly begun: number;
  /** Turns up to this one are in place. @throws {CudaError} what went wrong with one */
  readonly passed: number;
  /** Begins the next turn of the batch's pages. */
  begin(batch: QueuedBatch): number;
  /** Nothing is copied any more when this returns. @throws {CudaUsageError} CUDA_DEADLINE where that cannot be said */
  close(): void;
}

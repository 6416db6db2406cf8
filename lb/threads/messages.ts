import type { Options } from "../config/index.ts";
import type { FleetChange } from "../workers/index.ts";

/** What a serving thread is started with. */
export interface ThreadStart {
  readonly kind: "start";
  readonly options: Options;
  readonly state: SharedArrayBuffer;
  readonly epoch: number;
  /** Slots of the configured workers, in order. */
  readonly slots: readonly number[];
  readonly port: number;
}

export type ToThread =
  | ThreadStart
  | { readonly kind: "change"; readonly change: FleetChange }
  | { readonly kind: "expose"; readonly id: number }
  | { readonly kind: "collected"; readonly id: number; readonly text: string }
  | { readonly kind: "drain" };

export type FromThread =
  | { readonly kind: "serving"; readonly port: number }
  | { readonly kind: "change"; readonly change: FleetChange }
  | { readonly kind: "collect"; readonly id: number }
  | { readonly kind: "exposed"; readonly id: number; readonly text: string }
  | { readonly kind: "drained" }
  | { readonly kind: "failed"; readonly message: string };

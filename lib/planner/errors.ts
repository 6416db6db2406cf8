/** What a {@link PlanError} can be about. */
export type PlanErrorCode =
  | "INVALID_LAYOUT"
  | "INVALID_OPTION"
  | "LAYOUT_MISMATCH"
  | "RANK_MISMATCH"
  | "PAGE_COUNT_MISMATCH"
  | "PAGE_OUT_OF_RANGE"
  | "PAGE_REPEATED"
  | "AUX_OUT_OF_RANGE";

/** A plan that cannot be made. `what` names the quantity; `expected` and `came` are what a reader compares. */
export class PlanError extends Error {
  readonly code: PlanErrorCode;
  readonly what: string;
  readonly expected: string;
  readonly came: string;

  constructor(code: PlanErrorCode, what: string, expected: string | number, came: string | number) {
    super(`${what}: expected ${expected}, came ${came}`);
    this.name = "PlanError";
    this.code = code;
    this.what = what;
    this.expected = String(expected);
    this.came = String(came);
  }
}

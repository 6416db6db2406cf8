import type { Address } from "../runtime/index.ts";
import { libc } from "./library.ts";

/** memcpy(3) between two places that must not overlap and that the caller keeps mapped. */
export function unsafeCopy(destination: Address, source: Address, byteLength: number): void {
  libc.memcpy(destination, source, byteLength);
}

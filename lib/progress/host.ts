import type { Command } from "./command.ts";

/** Whatever runs a manager's progress: a thread, or a test's virtual clock. */
export interface ProgressHost {
  /** The engine's thread only; returns at once. */
  submit(command: Command): void;
  /** Rooms are open: the process must not end by itself. */
  hold(): void;
  unhold(): void;
  /** Ends every room and stops. Settles with the rooms whose pages must not be reused. */
  close(): Promise<{ readonly unfenced: number }>;
  readonly transports: readonly string[];
  readonly unusable: readonly string[];
  readonly figures: { readonly pairs: number; readonly links: number; readonly earlyRooms: number };
}

import type { Command } from "./command.ts";

/** What a manager's progress holds. */
export interface ProgressFigures {
  /** Connections to ranks of the other half. */
  readonly pairs: number;
  /** Of those, and of some that are being closed. */
  readonly queuePairs: number;
  /** Registries. */
  readonly links: number;
  /** Prefill: rooms that decode announced before their request came. */
  readonly earlyRooms: number;
}

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
  readonly figures: ProgressFigures;
}

/** What a manager's process on a host of its own is told, and what it answers: JSON, one line each. @module */

export interface HostStart {
  readonly role: "prefill" | "decode";
  /** Prefill: where its registry listens. */
  readonly host: string;
  readonly leaseMs: number;
  /** More options of the transport. */
  readonly verbs?: Readonly<Record<string, unknown>>;
}

/** Rooms `first` to `first + count - 1`; a room's place among them says which pages and which slot it has. */
interface Rooms {
  readonly first: number;
  readonly count: number;
}

export type HostCommand =
  /** Prefill fills the pages and sends them, decode waits for them. */
  | (Rooms & { readonly do: "open"; readonly addr?: string })
  /** Decode: gives every room up, one after another within `withinMs`, and writes its own bytes to each at once when it is released. */
  | (Rooms & { readonly do: "abort"; readonly withinMs: number })
  /** Waits for all to have ended and to be released; prefill gives up those that decode never announced. */
  | (Rooms & { readonly do: "settle"; readonly limitMs: number })
  /** Decode: counts rooms that failed and in whose pages something else stands than the bytes written on their release. */
  | (Rooms & { readonly do: "foreign" })
  | (Rooms & { readonly do: "clear" })
  | { readonly do: "begun"; readonly first: number }
  | { readonly do: "figures" };

export interface Settled {
  readonly succeeded: number;
  /** Succeeded, and yet not every byte is there. */
  readonly wrong: number;
  readonly unreleased: number;
  /** How many failed with which code. */
  readonly failed: Readonly<Record<string, number>>;
  /** What the first of them says. */
  readonly reason?: string;
}

export const POOL = { layers: 1, pages: 2_048, pageBytes: 4_096, auxSlots: 512, auxBytes: 256 };
const PAGES = 4;

/** A room's pages: fragments on both sides, others on each. Odd factors make it a permutation of 2,048 pages. */
export function pagesOf(role: HostStart["role"], place: number): number[] {
  const factor = role === "prefill" ? 877 : 1_181;
  return Array.from({ length: PAGES }, (_, page) => ((place * PAGES + page) * factor) % POOL.pages);
}

import type { Worker } from "../workers/index.ts";

const BLOCK = 256;
/** Blocks of a prompt that are looked at: 64 KiB of text tell prompts apart well enough. */
const MAX_BLOCKS = 256;
/** Roughly what an entry of the map takes. */
const ENTRY_BYTES = 128;

/** Names of a prompt's prefixes, block by block: each is the hash of everything up to and with its block. */
export function prefixes(bytes: Buffer, start: number, end: number): bigint[] {
  const names: bigint[] = [];
  let name = 0n;
  for (let at = start; at < end && names.length < MAX_BLOCKS; at += BLOCK) {
    name = Bun.hash.wyhash(bytes.subarray(at, Math.min(end, at + BLOCK)), name);
    names.push(name);
  }
  return names;
}

/**
 * Which workers have seen which prefixes: a prefix tree whose nodes are found by the hash of the path to them. The least
 * recently used nodes go when `maxBytes` is reached.
 */
export class PrefixIndex {
  readonly #maxEntries: number;
  /** In the order of last use. */
  readonly #nodes = new Map<bigint, Set<Worker>>();

  constructor(maxBytes: number) {
    this.#maxEntries = Math.max(16, Math.floor(maxBytes / ENTRY_BYTES));
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** Blocks of the prompt that each worker has seen from its beginning without a gap. */
  match(names: readonly bigint[], workers: readonly Worker[]): Map<Worker, number> {
    const depth = new Map<Worker, number>();
    let alive = [...workers];
    for (let i = 0; i < names.length && alive.length > 0; i++) {
      const seen = this.#nodes.get(names[i]!);
      alive = seen === undefined ? [] : alive.filter((worker) => seen.has(worker));
      for (const worker of alive) depth.set(worker, i + 1);
    }
    return depth;
  }

  insert(names: readonly bigint[], worker: Worker): void {
    for (const name of names) {
      const seen = this.#nodes.get(name) ?? new Set<Worker>();
      seen.add(worker);
      this.#nodes.delete(name);
      this.#nodes.set(name, seen);
    }
    for (const oldest of this.#nodes.keys()) {
      if (this.#nodes.size <= this.#maxEntries) break;
      this.#nodes.delete(oldest);
    }
  }

  forget(worker: Worker): void {
    for (const [name, seen] of this.#nodes) if (seen.delete(worker) && seen.size === 0) this.#nodes.delete(name);
  }
}

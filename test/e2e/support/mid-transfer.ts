import { until } from "../../lib/process/peer.ts";
import type { EngineProcess } from "./engine-process.ts";

/** Enough chunks, with --chunked-prefill-size 16, for a transfer that is under way for long. */
export const LONG_PROMPT = Array.from({ length: 1_600 }, (_, i) => 3 + (i % 4_000));

/**
 * Waits until the pages of a long prompt are under way. A server answers between two steps, so once prefill is seen to
 * hold pages, the first of many chunks is computed and with the sender.
 */
export async function inMidTransfer(prefill: EngineProcess, decode: EngineProcess): Promise<void> {
  for (const engine of [decode, prefill]) {
    const pages = (): Promise<number> => engine.gauge("kv_pages_used");
    await until(`${engine.mode} to hold pages`, pages, (count) => count > 0);
  }
}

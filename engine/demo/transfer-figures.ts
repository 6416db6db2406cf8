const PREFIX = "kvwire_engine_kv_transfer";

/** What prefill servers have counted of their transfers since they were started. Times in seconds. */
export interface TransferFigures {
  readonly bytes: number;
  /** With writes under way. */
  readonly writing: number;
  /** From the last chunk's computation to the end. */
  readonly tail: number;
}

/** The sums over several prefill servers. */
export async function readTransferFigures(urls: readonly string[]): Promise<TransferFigures> {
  const pages = await Promise.all(urls.map(async (url) => (await fetch(`${url}/metrics`)).text()));
  const sum = (name: string): number => pages.reduce((total, page) => total + readCounter(page, PREFIX + name), 0);
  return { bytes: sum("_bytes_total"), writing: sum("_writing_seconds_total"), tail: sum("_tail_seconds_total") };
}

export function subtract(after: TransferFigures, before: TransferFigures): TransferFigures {
  return {
    bytes: after.bytes - before.bytes,
    writing: after.writing - before.writing,
    tail: after.tail - before.tail,
  };
}

/** A counter's or a gauge's value in Prometheus' text format, over all labels; 0 where it has none yet. */
export function readCounter(page: string, name: string): number {
  const lines = page.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

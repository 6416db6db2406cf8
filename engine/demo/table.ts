import type { Generation } from "./generation.ts";
import type { TransferFigures } from "./transfer-figures.ts";

/** One request: what its client saw, and what prefill counted meanwhile. */
export interface Measured {
  readonly generation: Generation;
  readonly moved: TransferFigures;
}

type Row = readonly [name: string, value: (request: Measured) => string];

/** The figures of some requests, a column each under its heading, a line each. */
export function formatTable(requests: Readonly<Record<string, Measured>>, pageSize: number): string {
  const rows: readonly Row[] = [
    ["tokens of the prompt", ({ generation }) => `${generation.promptTokens}`],
    ["new tokens", ({ generation }) => `${generation.completionTokens}`],
    ["time to first token", ({ generation }) => milliseconds(generation.firstTokenS)],
    ["tokens/s after it", ({ generation }) => perSecond(generation)],
    ["KV cache, bytes", ({ generation }) => (generation.transfer?.bytes ?? 0).toLocaleString("en-US")],
    [`pages of ${pageSize} tokens`, ({ generation }) => `${generation.transfer?.pages ?? 0}`],
    ["transport", ({ generation }) => generation.transfer?.transport ?? "none"],
    ["transfer time", ({ moved }) => milliseconds(moved.writing)],
    ["GB/s in that time", ({ moved }) => (moved.bytes / moved.writing / 1e9).toPrecision(2)],
    ["last chunk to arrival", ({ moved }) => milliseconds(moved.tail)],
  ];
  const columns = Object.values(requests);
  const lines = [
    ["", ...Object.keys(requests)],
    ...rows.map(([name, value]) => [name, ...columns.map((request) => value(request))]),
  ];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const pad = (cell: string, column: number): string =>
    column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  return lines.map((line) => `  ${line.map(pad).join("  ")}\n`).join("");
}

function perSecond({ completionTokens, firstTokenS, totalS }: Generation): string {
  return completionTokens > 1 ? ((completionTokens - 1) / (totalS - firstTokenS)).toFixed(0) : "-";
}

function milliseconds(seconds: number): string {
  const ms = seconds * 1000;
  return `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

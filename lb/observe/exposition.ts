import type { Histogram } from "./histogram.ts";

type Labels = Readonly<Record<string, string>>;

const escape = (value: string): string => value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

/** Writes Prometheus' text format, version 0.0.4. */
export class Exposition {
  #text = "";

  family(name: string, type: "counter" | "gauge" | "histogram", help: string): this {
    this.#text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    return this;
  }

  sample(name: string, value: number, labels: Labels = {}): this {
    this.#text += `${name}${labelText(labels)} ${value}\n`;
    return this;
  }

  histogram(name: string, help: string, series: readonly (readonly [Labels, Histogram])[]): this {
    this.family(name, "histogram", help);
    for (const [labels, histogram] of series) {
      let total = 0;
      histogram.bounds.forEach((bound, i) => {
        total += histogram.counts[i]!;
        this.sample(`${name}_bucket`, total, { ...labels, le: String(bound) });
      });
      total += histogram.counts.at(-1)!;
      this.sample(`${name}_bucket`, total, { ...labels, le: "+Inf" });
      this.sample(`${name}_sum`, histogram.sum, labels).sample(`${name}_count`, total, labels);
    }
    return this;
  }

  text(): string {
    return this.#text;
  }
}

/** Series whose values all threads share already: adding them up would count them several times. */
const SHARED =
  /^kvwire_lb_(?:worker_(?:up|breaker|requests|tokens|draining)|requests_active|workers)\b|^(?:process|nodejs)_/;

/** Adds up what several threads expose; of values that they share, the first is kept. */
export function mergeExpositions(texts: readonly string[]): string {
  const lines = new Map<string, number | undefined>();
  for (const text of texts) {
    for (const line of text.split("\n")) {
      if (line === "") continue;
      const space = line.lastIndexOf(" ");
      if (line.startsWith("#")) {
        lines.set(line, undefined);
        continue;
      }
      const series = line.slice(0, space);
      const before = lines.get(series);
      if (before !== undefined && SHARED.test(series)) continue;
      lines.set(series, (before ?? 0) + Number(line.slice(space + 1)));
    }
  }
  return [...lines].map(([key, value]) => (value === undefined ? key : `${key} ${value}`)).join("\n") + "\n";
}

import type { ParsedRequest } from "../request/index.ts";
import { ClientStream, type ClientStreamOwner } from "./client-stream.ts";
import { DONE_EVENT, eventsIn } from "./events.ts";
import { errorBody } from "./failure.ts";
import { addUsage, sampleIndex } from "./sample-answers.ts";

type Json = Record<string, unknown>;

/** Interleaves the samples' events as they come, each told apart by its index; one usage event and one `[DONE]` end it. */
export function mergeSampleStreams(request: ParsedRequest, streams: readonly ClientStream[]): ClientStream {
  return new SampleMerger(request, streams).merged;
}

class SampleMerger implements ClientStreamOwner {
  readonly merged = new ClientStream(this);
  readonly #request: ParsedRequest;
  readonly #streams: readonly ClientStream[];
  readonly #usages: unknown[] = [];
  #lastUsage: Json | undefined;
  #id: unknown;
  #open: number;
  #over = false;

  constructor(request: ParsedRequest, streams: readonly ClientStream[]) {
    this.#request = request;
    this.#streams = streams;
    this.#open = streams.length;
    streams.forEach((stream, sample) =>
      stream.attach({ push: (events) => this.#push(events, sample), close: () => this.#closed() }),
    );
  }

  onClientReady(): void {
    for (const stream of this.#streams) stream.ready();
  }

  onClientGone(): void {
    this.#stop();
  }

  #stop(): void {
    this.#over = true;
    for (const stream of this.#streams) stream.gone();
  }

  #push(events: Buffer, sample: number): boolean {
    if (this.#over) return true;
    let out = "";
    for (const data of eventsIn(events.toString())) {
      if (data === "[DONE]") continue;
      const event = parsed(data);
      // One sample broke: the whole cannot be completed.
      if (event === undefined || event["error"] !== undefined) {
        const text =
          event === undefined ? errorBody(502, "decode_bad_event", "decode sent an event that is no JSON") : data;
        this.#stop();
        this.merged.fail(`${out}data: ${text}\n\n${DONE_EVENT}`);
        return true;
      }
      const own = this.#relabelled(event, sample);
      if (own !== undefined) out += `data: ${JSON.stringify(own)}\n\n`;
    }
    return out === "" || this.merged.write(Buffer.from(out));
  }

  /** The event as one of the whole; undefined for a usage, which is kept for the end. */
  #relabelled(event: Json, sample: number): Json | undefined {
    if (this.#request.endpoint.dialect === "generate") return relabelGenerate(event, sample, this.#streams.length);
    this.#id ??= event["id"];
    event["id"] = this.#id;
    if (!isUsageOnly(event)) return relabelChoices(event, sample, this.#streams.length);
    this.#usages.push(event["usage"]);
    this.#lastUsage = event;
    return undefined;
  }

  #closed(): void {
    if (this.#over || --this.#open > 0) return;
    this.#over = true;
    const usage = addUsage(this.#usages);
    const tail = usage === undefined ? "" : `data: ${JSON.stringify({ ...this.#lastUsage, usage })}\n\n`;
    this.merged.write(Buffer.from(tail + DONE_EVENT));
    this.merged.end();
  }
}

function parsed(data: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

function isUsageOnly(event: Json): boolean {
  return Array.isArray(event["choices"]) && event["choices"].length === 0 && event["usage"] !== undefined;
}

function relabelGenerate(event: Json, sample: number, samples: number): Json {
  return { ...event, index: sampleIndex(event["index"], sample, samples) };
}

function relabelChoices(event: Json, sample: number, samples: number): Json {
  const choices = Array.isArray(event["choices"]) ? (event["choices"] as Json[]) : [];
  return {
    ...event,
    choices: choices.map((choice) => ({ ...choice, index: sampleIndex(choice["index"], sample, samples) })),
  };
}

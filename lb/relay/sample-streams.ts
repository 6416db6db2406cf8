import type { ParsedRequest } from "../request/index.ts";
import { DONE_EVENT, eventsIn } from "./events.ts";
import { addUsage, sampleIndex } from "./sample-answers.ts";

type Json = Record<string, unknown>;

/** Interleaves the samples' events as they come, each told apart by its index; one usage event and one `[DONE]` end it. */
export function mergeSampleStreams(
  request: ParsedRequest,
  streams: readonly ReadableStream<Uint8Array>[],
): ReadableStream<Uint8Array> {
  const readers = streams.map((stream) => stream.getReader());
  const relabel = request.endpoint.dialect === "generate" ? relabelGenerate : relabelChoices;
  const usages: unknown[] = [];
  let id: unknown;
  let lastUsage: Json | undefined;
  let open = readers.length;
  let wanted = Promise.withResolvers<void>();
  let over = false;

  const stop = (): void => {
    over = true;
    for (const reader of readers) void reader.cancel();
  };

  const pump = async (sample: number, controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    const reader = readers[sample]!;
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (over) return;
      if (done) break;
      let out = "";
      for (const data of eventsIn(decoder.decode(value, { stream: true }))) {
        if (data === "[DONE]") continue;
        const event = JSON.parse(data) as Json;
        if (event["error"] !== undefined) {
          // One sample broke: the whole cannot be completed.
          controller.enqueue(Buffer.from(`${out}data: ${data}\n\n${DONE_EVENT}`));
          controller.close();
          stop();
          return;
        }
        if (request.endpoint.dialect === "openai") {
          id ??= event["id"];
          event["id"] = id;
          if (isUsageOnly(event)) {
            usages.push(event["usage"]);
            lastUsage = event;
            continue;
          }
        }
        out += `data: ${JSON.stringify(relabel(event, sample, readers.length))}\n\n`;
      }
      if (out !== "") controller.enqueue(Buffer.from(out));
      if ((controller.desiredSize ?? 1) <= 0) await wanted.promise;
    }
    if (--open > 0) return;
    over = true;
    const usage = addUsage(usages);
    const tail = usage === undefined ? "" : `data: ${JSON.stringify({ ...lastUsage, usage })}\n\n`;
    controller.enqueue(Buffer.from(tail + DONE_EVENT));
    controller.close();
  };

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        readers.forEach((_, sample) => {
          pump(sample, controller).catch((error: unknown) => {
            if (over) return;
            stop();
            controller.error(error);
          });
        });
      },
      pull() {
        wanted.resolve();
        wanted = Promise.withResolvers<void>();
      },
      cancel: stop,
    },
    { highWaterMark: 16 },
  );
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

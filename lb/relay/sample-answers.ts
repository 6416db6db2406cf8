import type { ParsedRequest } from "../request/index.ts";

type Json = Record<string, unknown>;

/** One answer out of one per sample: prompt by prompt, and within a prompt sample by sample, as one engine orders them. */
export function mergeSamples(request: ParsedRequest, bodies: readonly Buffer[]): Buffer {
  const answers = bodies.map((body) => JSON.parse(body.toString()) as unknown);
  const merged = request.endpoint.dialect === "generate" ? mergeLists(answers) : mergeChoices(answers as Json[]);
  return Buffer.from(JSON.stringify(merged));
}

function mergeLists(answers: readonly unknown[]): unknown[] {
  const lists = answers.map((answer) => (Array.isArray(answer) ? (answer as unknown[]) : [answer]));
  return lists[0]!.flatMap((_, prompt) => lists.map((list) => list[prompt]));
}

function mergeChoices(answers: readonly Json[]): Json {
  const choices = answers.flatMap((answer, sample) =>
    (Array.isArray(answer["choices"]) ? (answer["choices"] as Json[]) : []).map((choice) => ({
      ...choice,
      index: sampleIndex(choice["index"], sample, answers.length),
    })),
  );
  choices.sort((a, b) => a.index - b.index);
  const usage = addUsage(answers.map((answer) => answer["usage"]));
  return { ...answers[0], choices, ...(usage === undefined ? {} : { usage }) };
}

/** Where sample `sample` of `samples` for prompt `index` stands in the whole. */
export function sampleIndex(index: unknown, sample: number, samples: number): number {
  return (typeof index === "number" ? index : 0) * samples + sample;
}

/** The prompt counts once, what was generated adds up. */
export function addUsage(usages: readonly unknown[]): Json | undefined {
  const known = usages.filter((usage): usage is Json => typeof usage === "object" && usage !== null);
  const [first] = known;
  if (first === undefined) return undefined;
  const count = (usage: Json, key: string): number => (typeof usage[key] === "number" ? usage[key] : 0);
  const completion = known.reduce((sum, usage) => sum + count(usage, "completion_tokens"), 0);
  return { ...first, completion_tokens: completion, total_tokens: count(first, "prompt_tokens") + completion };
}

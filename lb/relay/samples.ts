import type { Attempt } from "./attempt.ts";
import { Job, type JobContext, type JobInput } from "./job.ts";
import type { Outcome } from "./plan.ts";
import { mergeSamples } from "./sample-answers.ts";
import { mergeSampleStreams } from "./sample-streams.ts";

/**
 * A request for n samples of each prompt. Engines of one pair share a room between samples and hang, so each sample is a
 * pair of its own, with its own room, and the answers are put together as one engine would have.
 */
export class Samples {
  readonly #jobs: readonly Job[];
  readonly #input: JobInput;

  constructor(context: JobContext, input: JobInput) {
    this.#input = input;
    this.#jobs = Array.from({ length: input.request.samples }, (_, sample) => new Job(context, { ...input, sample }));
  }

  /** The first sample's: it names the pair in response headers. */
  get attempt(): Attempt | undefined {
    return this.#jobs[0]!.attempt;
  }

  get retries(): number {
    return this.#jobs.reduce((sum, job) => sum + job.retries, 0);
  }

  cancel(message: string): void {
    for (const job of this.#jobs) job.cancel(message);
  }

  async run(): Promise<Outcome> {
    const outcomes = await this.#outcomes();
    if (!Array.isArray(outcomes)) return outcomes;
    const { request } = this.#input;
    const bodies: Buffer[] = [];
    const streams: ReadableStream<Uint8Array>[] = [];
    const closed: Promise<unknown>[] = [];
    for (const outcome of outcomes) {
      if (outcome.kind === "answer") bodies.push(outcome.answer.body);
      else if (outcome.kind === "stream") {
        streams.push(outcome.body);
        closed.push(outcome.closed);
      }
    }
    const [first] = outcomes;
    if (first?.kind === "stream" && streams.length === outcomes.length) {
      return {
        kind: "stream",
        head: first.head,
        body: mergeSampleStreams(request, streams),
        closed: Promise.all(closed),
      };
    }
    if (first?.kind === "answer" && bodies.length === outcomes.length) {
      return { kind: "answer", answer: { ...first.answer, body: mergeSamples(request, bodies) } };
    }
    this.cancel("samples disagree");
    const message = "some samples were streamed and some were not";
    return { kind: "failure", failure: { blame: "decode", code: "samples_disagree", status: 502, message } };
  }

  /** All good outcomes, or the first bad one, the others cancelled. */
  #outcomes(): Promise<Outcome[] | Outcome> {
    return new Promise((resolve, reject) => {
      const good: Outcome[] = [];
      let left = this.#jobs.length;
      this.#jobs.forEach((job, sample) => {
        job.run().then((outcome) => {
          if (outcome.kind === "failure") {
            resolve(outcome);
            this.cancel("another sample of the request failed");
            return;
          }
          good[sample] = outcome;
          if (--left === 0) resolve(good);
        }, reject);
      });
    });
  }
}

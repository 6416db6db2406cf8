import type { Attempt } from "./attempt.ts";
import type { ClientStream } from "./client-stream.ts";
import { INTERNAL_ERROR } from "./failure.ts";
import { Job, type JobContext, type JobInput } from "./job.ts";
import type { Outcome, OutcomeOwner } from "./plan.ts";
import { mergeSamples } from "./sample-answers.ts";
import { mergeSampleStreams } from "./sample-streams.ts";

/**
 * A request for n samples of each prompt. Engines of one pair share a room between samples and hang, so each sample is a
 * pair of its own, with its own room, and the answers are put together as one engine would have.
 */
export class Samples {
  readonly #jobs: readonly Job[];
  readonly #context: JobContext;
  readonly #input: JobInput;
  readonly #owner: OutcomeOwner;
  readonly #good: Outcome[] = [];
  #left: number;
  #over = false;

  constructor(context: JobContext, input: JobInput, owner: OutcomeOwner) {
    this.#context = context;
    this.#input = input;
    this.#owner = owner;
    this.#left = input.request.samples;
    this.#jobs = Array.from(
      { length: input.request.samples },
      (_, sample) =>
        new Job(context, { ...input, sample }, { onOutcome: (outcome) => this.#onSample(sample, outcome) }),
    );
  }

  /** The first sample's: it names the pair in response headers. */
  get attempt(): Attempt | undefined {
    return this.#jobs[0]!.attempt;
  }

  get retries(): number {
    return this.#jobs.reduce((sum, job) => sum + job.retries, 0);
  }

  run(): void {
    for (const job of this.#jobs) {
      // The first may have failed at once, for want of workers.
      if (!this.#over) job.run();
    }
  }

  cancel(message: string): void {
    for (const job of this.#jobs) job.cancel(message);
  }

  /** All good outcomes make one, the first bad one is the whole's, the others cancelled. */
  #onSample(sample: number, outcome: Outcome): void {
    if (this.#over) return;
    if (outcome.kind === "failure") {
      this.#over = true;
      this.#owner.onOutcome(outcome);
      this.cancel("another sample of the request failed");
      return;
    }
    this.#good[sample] = outcome;
    if (--this.#left > 0) return;
    this.#over = true;
    this.#owner.onOutcome(this.#whole());
  }

  #whole(): Outcome {
    try {
      const whole = this.#merged();
      if (whole !== undefined) return whole;
    } catch (error) {
      this.#context.observer.onError(error);
      this.cancel("the samples could not be put together");
      return { kind: "failure", failure: INTERNAL_ERROR };
    }
    this.cancel("samples disagree");
    const message = "some samples were streamed and some were not";
    return { kind: "failure", failure: { blame: "decode", code: "samples_disagree", status: 502, message } };
  }

  /** Undefined where some were streamed and some were not. */
  #merged(): Outcome | undefined {
    const { request } = this.#input;
    const bodies: Buffer[] = [];
    const streams: ClientStream[] = [];
    const closed: Promise<unknown>[] = [];
    for (const outcome of this.#good) {
      if (outcome.kind === "answer") bodies.push(outcome.answer.body);
      else if (outcome.kind === "stream") {
        streams.push(outcome.events);
        closed.push(outcome.closed);
      }
    }
    const [first] = this.#good;
    if (first?.kind === "stream" && bodies.length === 0) {
      const events = mergeSampleStreams(request, streams);
      return { kind: "stream", head: first.head, events, closed: Promise.all(closed) };
    }
    if (first?.kind === "answer" && streams.length === 0) {
      return { kind: "answer", answer: { ...first.answer, body: mergeSamples(request, bodies) } };
    }
    return undefined;
  }
}

import { collectDefaultMetrics, Registry } from "prom-client";
import type { Attempt, AttemptObserver, RelayObserver } from "../relay/index.ts";
import type { Admission, Fleet } from "../workers/index.ts";
import { Exposition } from "./exposition.ts";
import { Histogram } from "./histogram.ts";

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];
const TOKEN_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5];

/** A counter for each value of a few labels, kept as one string so that counting is one look-up. */
class Tally {
  readonly counts = new Map<string, number>();

  add(key: string, by = 1): void {
    this.counts.set(key, (this.counts.get(key) ?? 0) + by);
  }
}

/** What is counted while requests pass; a number here costs an addition, text is made when somebody asks. */
export class Metrics implements Partial<AttemptObserver>, RelayObserver {
  readonly firstToken = new Histogram(SECONDS);
  readonly interToken = new Histogram(TOKEN_SECONDS);
  readonly queue = new Histogram(SECONDS);
  readonly duration = new Histogram(SECONDS);
  readonly prefillAnswer = new Histogram(SECONDS);
  /** How long after decode's first output prefill answered. */
  readonly prefillLag = new Histogram(SECONDS);
  readonly #requests = new Tally();
  readonly #outcomes = new Tally();
  readonly #verdicts = new Tally();
  readonly #aborts = new Tally();
  events = 0;
  promptTokens = 0;
  retries = 0;
  responses = 0;
  errors = 0;
  readonly #process = new Registry();

  constructor() {
    collectDefaultMetrics({ register: this.#process });
  }

  onArrival(endpoint: { path: string }): void {
    this.#requests.add(endpoint.path);
  }

  onResponse: RelayObserver["onResponse"] = (endpoint, summary) => {
    this.responses++;
    if (summary.status >= 400) this.errors++;
    this.#outcomes.add(`${endpoint.path}\n${summary.status}\n${summary.code}`);
    this.queue.observe(summary.queued / 1000);
    this.duration.observe(summary.duration / 1000);
    this.promptTokens += summary.tokens;
    this.retries += summary.retries;
  };

  onVerdict(attempt: Attempt, worker: { name: string; role: string }, ok: boolean, reason: string): void {
    if (!ok) this.#verdicts.add(`${worker.role}\n${worker.name}\n${reason}`);
    if (!ok && attempt.failure !== undefined) this.#aborts.add(reason);
  }

  onPrefillAnswer(attempt: Attempt): void {
    this.prefillAnswer.observe((attempt.prefillAt - attempt.startedAt) / 1000);
    if (attempt.firstOutputAt > 0) this.prefillLag.observe((attempt.prefillAt - attempt.firstOutputAt) / 1000);
  }

  onFirstOutput(attempt: Attempt): void {
    if (!attempt.plan.stream) return;
    this.events++;
    this.firstToken.observe((attempt.firstOutputAt - attempt.startedAt) / 1000);
  }

  onOutput(_attempt: Attempt, gap: number, chunks: number): void {
    this.events += chunks;
    // Several events read at once came apart by less than we can see: the gap is shared among them.
    if (chunks > 0) this.interToken.observe(gap / chunks / 1000, chunks);
  }

  /** Everything in Prometheus' text format. */
  async expose(fleet: Fleet, admission: Admission, live: ReadonlySet<Attempt>): Promise<string> {
    const out = new Exposition();
    const tally = (name: string, help: string, labels: readonly string[], { counts }: Tally): void => {
      out.family(name, "counter", help);
      for (const [key, value] of counts) {
        const values = key.split("\n");
        out.sample(name, value, Object.fromEntries(labels.map((label, i) => [label, values[i] ?? ""])));
      }
    };
    tally("kvwire_lb_requests_total", "Requests that arrived", ["endpoint"], this.#requests);
    tally(
      "kvwire_lb_responses_total",
      "Responses by status and error code",
      ["endpoint", "status", "code"],
      this.#outcomes,
    );
    tally(
      "kvwire_lb_leg_failures_total",
      "Failures by a worker's own fault",
      ["role", "worker", "cause"],
      this.#verdicts,
    );
    tally("kvwire_lb_aborted_pairs_total", "Pairs given up, by cause", ["cause"], this.#aborts);
    const counter = (name: string, help: string, value: number): unknown =>
      out.family(name, "counter", help).sample(name, value);
    const gauge = (name: string, help: string, value: number): unknown =>
      out.family(name, "gauge", help).sample(name, value);
    counter("kvwire_lb_retries_total", "Attempts after the first", this.retries);
    counter("kvwire_lb_shed_total", "Requests turned away from the queue", admission.shed);
    counter("kvwire_lb_stream_events_total", "Events passed on", this.events);
    counter("kvwire_lb_prompt_tokens_total", "Prompt tokens, estimated from text", this.promptTokens);
    out.histogram("kvwire_lb_ttft_seconds", "From dispatch to the first event of a stream", [[{}, this.firstToken]]);
    out.histogram("kvwire_lb_inter_token_seconds", "Between events of a stream", [[{}, this.interToken]]);
    out.histogram("kvwire_lb_queue_seconds", "Waiting for a place", [[{}, this.queue]]);
    out.histogram("kvwire_lb_response_seconds", "From arrival to the response's head", [[{}, this.duration]]);
    out.histogram("kvwire_lb_prefill_answer_seconds", "From dispatch to prefill's answer", [[{}, this.prefillAnswer]]);
    out.histogram("kvwire_lb_prefill_lag_seconds", "From decode's first output to prefill's answer", [
      [{}, this.prefillLag],
    ]);
    const phases = { dispatched: 0, accepted: 0, streaming: 0, done: 0 };
    let orphans = 0;
    for (const attempt of live) {
      phases[attempt.phase]++;
      if (attempt.orphaned) orphans++;
    }
    out.family("kvwire_lb_rooms", "gauge", "Rooms in flight, by phase");
    for (const [phase, value] of Object.entries(phases)) out.sample("kvwire_lb_rooms", value, { phase });
    gauge("kvwire_lb_rooms_orphaned", "Rooms given up whose engines have not let go yet", orphans);
    gauge("kvwire_lb_requests_active", "Requests being served", admission.active);
    gauge("kvwire_lb_requests_waiting", "Requests in the queue", admission.waiting);
    this.#exposeWorkers(out, fleet);
    return out.text() + (await this.#process.metrics());
  }

  #exposeWorkers(out: Exposition, fleet: Fleet): void {
    const each = (name: string, help: string, value: (worker: ReturnType<Fleet["all"]>[number]) => number): void => {
      out.family(name, "gauge", help);
      for (const worker of fleet.all()) out.sample(name, value(worker), { role: worker.role, worker: worker.name });
    };
    each("kvwire_lb_worker_up", "1 where probes succeed", (worker) => (worker.health.up ? 1 : 0));
    each("kvwire_lb_worker_draining", "1 where no new requests are sent", (worker) => (worker.draining ? 1 : 0));
    each("kvwire_lb_worker_breaker", "Circuit breaker: 0 closed, 1 open, 2 half-open", (worker) =>
      ["closed", "open", "half-open"].indexOf(worker.breaker.state),
    );
    each("kvwire_lb_worker_requests", "Requests sent and not ended", (worker) => worker.requests);
    each("kvwire_lb_worker_tokens", "Their prompt tokens", (worker) => worker.tokens);
    each("kvwire_lb_worker_connections", "Open connections", (worker) => worker.pool.open);
    each("kvwire_lb_worker_connections_idle", "Idle connections", (worker) => worker.pool.idle);
  }
}

import type { Options } from "./config/index.ts";
import { createLog, Metrics, type Log } from "./observe/index.ts";
import { createPolicies, type PolicyPair } from "./policy/index.ts";
import { tick } from "./clock.ts";
import { Keys } from "./keys.ts";
import { errorResponse, Relay, type Attempt, type AttemptObserver, type RequestSummary } from "./relay/index.ts";
import { RequestIds, RoomIds, type Endpoint } from "./request/index.ts";
import {
  Admission,
  Fleet,
  FleetControl,
  HealthChecker,
  PairQuarantine,
  type SharedState,
  type Worker,
  type WorkerSpec,
} from "./workers/index.ts";

/** ms between two looks at deadlines, waiting clients and idle connections. */
const SWEEP_EVERY = 50;
const SECOND = 1000;
/** ms that a prefill may be behind decode's last word; real ones are a third of a second behind its first. */
const PREFILL_AFTER_DECODE = 5 * SECOND;

export interface BalancerParts {
  /** Where a policy is a module: what `loadPolicies` gave. */
  readonly policies?: PolicyPair;
  /** State shared with other serving threads. */
  readonly shared?: SharedState;
  readonly log?: Log;
  /** False: another thread probes the workers. */
  readonly probes?: boolean;
}

/** The workers, the relay between clients and them, and what watches over both. */
export class Balancer {
  readonly options: Options;
  readonly fleet: Fleet;
  readonly relay: Relay;
  readonly admission: Admission;
  readonly metrics = new Metrics();
  readonly log: Log;
  readonly live = new Set<Attempt>();
  readonly health: HealthChecker;
  readonly control = new FleetControl(this);
  readonly keys: Keys;
  readonly startedAt = Date.now();
  readonly #policies: PolicyPair;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Set on SIGTERM: not ready for more, though what comes is still served. */
  draining = false;
  /** Set where several threads serve: adds up what each of them counts. */
  collect: (() => Promise<string>) | undefined;

  constructor(options: Options, parts: BalancerParts = {}) {
    this.options = options;
    this.log = parts.log ?? createLog(options);
    this.keys = new Keys(options);
    this.#policies = parts.policies ?? createPolicies(options);
    this.fleet = new Fleet(workerOptions(options), parts.shared);
    this.admission = new Admission(
      {
        maxActive: options.maxConcurrentRequests,
        maxPerPrefill: options.maxPrefillRequests,
        queueSize: options.queueSize,
        queueTimeout: options.queueTimeoutSecs * SECOND,
      },
      this.fleet,
    );
    this.relay = this.#createRelay();
    this.health = new HealthChecker(
      this.fleet,
      {
        interval: parts.probes === false ? 0 : options.healthCheckIntervalSecs * SECOND,
        timeout: options.healthCheckTimeoutSecs * SECOND,
        path: options.healthCheckEndpoint,
        failuresDown: options.healthFailureThreshold,
        successesUp: options.healthSuccessThreshold,
      },
      ({ name, role, health }) =>
        this.log.warn({ worker: name, role, up: health.up, error: health.lastError }, "worker health changed"),
    );
    this.#timer = setInterval(() => this.#sweep(), SWEEP_EVERY);
  }

  /** Adds a worker, with the common key if it has none of its own; `slot` is that of the thread which added it first. */
  addWorker(spec: WorkerSpec, slot?: number): Worker {
    const apiKey = spec.apiKey ?? this.options.workerApiKey;
    return this.fleet.add(apiKey === undefined ? spec : { ...spec, apiKey }, slot);
  }

  /** Adds those of the options. All threads do so in the same order. */
  addConfigured(slots?: readonly number[]): void {
    const specs = [
      ...this.options.prefill.map((spec) => ({ ...spec, role: "prefill" as const })),
      ...this.options.decode.map((spec) => ({ ...spec, role: "decode" as const })),
    ];
    specs.forEach((spec, i) => this.addWorker(spec, slots?.[i]));
  }

  removeWorker(worker: Worker): void {
    this.fleet.remove(worker);
    this.#policies.prefill.forget?.(worker);
    this.#policies.decode.forget?.(worker);
  }

  /** Metrics of this thread, or of all of them where `collect` was set. */
  exposeMetrics(): Promise<string> {
    return this.collect?.() ?? this.ownMetrics();
  }

  ownMetrics(): Promise<string> {
    return this.metrics.expose(this.fleet, this.admission, this.live);
  }

  /** The key that a worker is shown on behalf of this client; undefined: the worker's own. */
  workerAuthorization(headers: Headers): string | undefined {
    return this.options.apiKey === undefined ? (headers.get("authorization") ?? undefined) : undefined;
  }

  /** The answer to a request without the administrator's key; undefined where it has it. */
  refuseAdmin(headers: Headers): Response | undefined {
    return this.keys.admits(headers, "admin")
      ? undefined
      : errorResponse(401, "unauthorized", "the administrator's key is needed");
  }

  /** Gives up the running requests that go by these ids, or by ids that begin with one of them; gives how many. */
  abort(rids: readonly string[]): number {
    let count = 0;
    for (const attempt of this.live) {
      const { rid, clientRid } = attempt.plan;
      const names = [rid, ...[clientRid ?? []].flat()];
      if (!rids.some((prefix) => names.some((name) => name.startsWith(prefix)))) continue;
      count++;
      attempt.abort();
    }
    return count;
  }

  abortAll(): number {
    for (const attempt of this.live) attempt.abort();
    return this.live.size;
  }

  close(): void {
    clearInterval(this.#timer);
    this.health.close();
    this.fleet.close();
  }

  #sweep(): void {
    const time = tick();
    this.relay.sweep(time);
    this.fleet.sweep(time);
  }

  #createRelay(): Relay {
    const { options } = this;
    return new Relay({
      fleet: this.fleet,
      prefillPolicy: this.#policies.prefill,
      decodePolicy: this.#policies.decode,
      quarantine: new PairQuarantine(),
      rooms: new RoomIds(),
      ids: new RequestIds(),
      limits: {
        prefill: options.prefillTimeoutSecs * SECOND,
        prefillAfterDecode: PREFILL_AFTER_DECODE,
        prefillPerToken: options.prefillTimeoutPerTokenMs,
        firstOutput: options.firstOutputTimeoutSecs * SECOND,
        idle: options.streamIdleTimeoutSecs * SECOND,
        request: options.requestTimeoutSecs * SECOND,
      },
      retry: {
        max: options.disableRetries ? 0 : options.retryMaxRetries,
        backoff: options.retryInitialBackoffMs,
        maxBackoff: options.retryMaxBackoffMs,
      },
      maxPerPrefill: options.maxPrefillRequests,
      live: this.live,
      observer: this.#attemptObserver(),
      admission: this.admission,
      options: {
        maxBody: options.maxPayloadSize,
        requestIdHeaders: options.requestIdHeaders,
        ownKeys: options.apiKey !== undefined,
      },
      requests: {
        onArrival: (endpoint) => this.metrics.onArrival(endpoint),
        onResponse: (endpoint, summary) => this.#responded(endpoint, summary),
      },
    });
  }

  #attemptObserver(): AttemptObserver {
    const { metrics, live } = this;
    return {
      onError: (error) => this.log.error({ err: error }, "unexpected error"),
      onVerdict: (attempt, worker, ok, reason) => {
        if (ok) return worker.breaker.success();
        worker.breaker.failure();
        metrics.onVerdict(attempt, worker, ok, reason);
        this.log.warn(
          {
            worker: worker.name,
            role: worker.role,
            cause: reason,
            rid: attempt.plan.rid,
            breaker: worker.breaker.state,
          },
          attempt.failure?.message ?? "worker failed after its answer had begun",
        );
      },
      onPrefillAnswer: (attempt) => {
        metrics.onPrefillAnswer(attempt);
        if (this.options.maxPrefillRequests > 0) queueMicrotask(() => this.admission.pump());
      },
      onFirstOutput: (attempt) => metrics.onFirstOutput(attempt),
      onOutput: (attempt, gap, chunks) => metrics.onOutput(attempt, gap, chunks),
      onClosed: (attempt) => {
        live.delete(attempt);
      },
    };
  }

  #responded(endpoint: Endpoint, summary: RequestSummary): void {
    this.metrics.onResponse(endpoint, summary);
    const bad = summary.status >= 500;
    if (!bad && !this.log.isLevelEnabled("debug")) return;
    const { id, status, code, message, queued, duration, retries, attempt } = summary;
    const pair = { prefill: attempt?.plan.prefill.name, decode: attempt?.plan.decode.name };
    const details = {
      requestId: id,
      path: endpoint.path,
      status,
      code,
      error: message,
      queued,
      duration,
      retries,
      ...pair,
    };
    if (bad) this.log.warn(details, "request failed");
    else this.log.debug(details, "request");
  }
}

function workerOptions(options: Options): ConstructorParameters<typeof Fleet>[0] {
  return {
    connectTimeout: options.connectTimeoutSecs * SECOND,
    idleTimeout: options.keepAliveSecs * SECOND,
    maxIdle: options.maxIdleConnections,
    breaker: {
      threshold: options.disableCircuitBreaker ? 0 : options.cbFailureThreshold,
      successes: options.cbSuccessThreshold,
      openFor: options.cbTimeoutDurationSecs * SECOND,
      window: options.cbWindowDurationSecs * SECOND,
    },
    tls: {
      rejectUnauthorized: !options.workerTlsInsecure,
      ...(options.workerCa === undefined ? {} : { ca: Bun.file(options.workerCa) }),
    },
  };
}

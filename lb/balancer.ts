import type { Options } from "./config/index.ts";
import { random, roundRobin, type Policy } from "./policy/index.ts";
import { Relay, type Attempt, type AttemptObserver, type JobContext } from "./relay/index.ts";
import { RequestIds, RoomIds } from "./request/index.ts";
import { Fleet, HealthChecker, type Worker, type WorkerSpec } from "./workers/index.ts";

/** ms between two looks at deadlines, waiting clients and idle connections. */
const SWEEP_EVERY = 50;
/** Failures that no number of them opens a breaker for. */
const NEVER = 0;

/** The workers, the relay between clients and them, and what watches over both. */
export class Balancer {
  readonly options: Options;
  readonly fleet: Fleet;
  readonly relay: Relay;
  readonly live = new Set<Attempt>();
  readonly #health: HealthChecker;
  readonly #timer: ReturnType<typeof setInterval>;
  draining = false;

  constructor(options: Options) {
    this.options = options;
    const second = 1000;
    this.fleet = new Fleet({
      connectTimeout: options.connectTimeoutSecs * second,
      idleTimeout: options.keepAliveSecs * second,
      maxIdle: options.maxIdleConnections,
      breaker: {
        threshold: options.disableCircuitBreaker ? NEVER : options.cbFailureThreshold,
        successes: options.cbSuccessThreshold,
        openFor: options.cbTimeoutDurationSecs * second,
        window: options.cbWindowDurationSecs * second,
      },
    });
    for (const spec of options.prefill) this.addWorker({ ...spec, role: "prefill" });
    for (const spec of options.decode) this.addWorker({ ...spec, role: "decode" });
    const context: JobContext = {
      fleet: this.fleet,
      prefillPolicy: policyOf(options.prefillPolicy ?? options.policy),
      decodePolicy: policyOf(options.decodePolicy ?? options.policy),
      rooms: new RoomIds(),
      ids: new RequestIds(),
      limits: {
        prefill: options.prefillTimeoutSecs * second,
        prefillPerToken: options.prefillTimeoutPerTokenMs,
        firstOutput: options.firstOutputTimeoutSecs * second,
        idle: options.streamIdleTimeoutSecs * second,
        request: options.requestTimeoutSecs * second,
      },
      retry: {
        max: options.disableRetries ? 0 : options.retryMaxRetries,
        backoff: options.retryInitialBackoffMs,
        maxBackoff: options.retryMaxBackoffMs,
      },
      live: this.live,
      observer: this.#observer(),
    };
    this.relay = new Relay(context, {
      maxBody: options.maxPayloadSize,
      requestIdHeaders: options.requestIdHeaders,
      ownKeys: options.apiKey !== undefined,
    });
    this.#health = new HealthChecker(this.fleet, {
      interval: options.healthCheckIntervalSecs * second,
      timeout: options.healthCheckTimeoutSecs * second,
      path: options.healthCheckEndpoint,
      failuresDown: options.healthFailureThreshold,
      successesUp: options.healthSuccessThreshold,
    });
    this.#timer = setInterval(() => this.#sweep(), SWEEP_EVERY);
  }

  addWorker(spec: WorkerSpec): Worker {
    const apiKey = spec.apiKey ?? this.options.workerApiKey;
    return this.fleet.add(apiKey === undefined ? spec : { ...spec, apiKey });
  }

  close(): void {
    clearInterval(this.#timer);
    this.#health.close();
    this.fleet.close();
  }

  #sweep(): void {
    const now = performance.now();
    this.relay.sweep(now);
    this.fleet.sweep(now);
  }

  #observer(): AttemptObserver {
    return {
      onVerdict: (_attempt, worker, ok) => {
        if (ok) worker.breaker.success();
        else worker.breaker.failure(performance.now());
      },
      onPrefillAnswer: () => undefined,
      onFirstOutput: () => undefined,
      onOutput: () => undefined,
      onClosed: (attempt) => {
        this.live.delete(attempt);
      },
    };
  }
}

function policyOf(name: string): Policy {
  return name === "round_robin" ? roundRobin() : random();
}

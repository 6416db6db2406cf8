import type { Balancer } from "../balancer.ts";
import { mergeExpositions } from "../observe/index.ts";
import type { FromThread, ToThread } from "./messages.ts";

/** ms that a thread has to say what it counted; one that is busy for longer is left out. */
const EXPOSE_PATIENCE = 1000;

interface Exposing {
  readonly texts: string[];
  left: number;
  readonly done: () => void;
}

/**
 * Serving threads, each with its own listener on one port. The balancer of the main thread serves nothing: it probes the
 * workers and owns the state that all share.
 */
export class ThreadPool {
  readonly #balancer: Balancer;
  readonly #threads: Worker[] = [];
  readonly #exposing = new Map<number, Exposing>();
  #nextId = 0;
  #drained = 0;
  readonly #allDrained = Promise.withResolvers<void>();

  constructor(balancer: Balancer) {
    this.#balancer = balancer;
    balancer.control.tell = (change) => this.#tellAll({ kind: "change", change });
    balancer.collect = () => this.#collect();
  }

  /** Starts the threads one after another, so that all get the port that the first one found. Gives the port. */
  async start(count: number, port: number): Promise<number> {
    const { options, fleet } = this.#balancer;
    let bound = port;
    for (let i = 0; i < count; i++) {
      const thread = new Worker(Bun.main);
      const serving = Promise.withResolvers<number>();
      thread.addEventListener("error", (event) => serving.reject(new Error(event.message)));
      thread.addEventListener("message", ({ data }: MessageEvent<FromThread>) => {
        if (data.kind === "serving") serving.resolve(data.port);
        else if (data.kind === "failed") serving.reject(new Error(data.message));
        else this.#heard(thread, data);
      });
      this.#threads.push(thread);
      const slots = fleet.all().map(({ slot }) => slot);
      this.#tell(thread, {
        kind: "start",
        options,
        state: fleet.shared.buffer,
        epoch: fleet.shared.epoch,
        slots,
        port: bound,
      });
      bound = await serving.promise;
    }
    return bound;
  }

  /** Resolves when no thread has a running request. */
  drain(): Promise<void> {
    this.#tellAll({ kind: "drain" });
    return this.#allDrained.promise;
  }

  #heard(thread: Worker, message: FromThread): void {
    switch (message.kind) {
      case "change":
        this.#balancer.control.follow(message.change);
        for (const other of this.#threads) if (other !== thread) this.#tell(other, message);
        break;
      case "collect":
        void this.#collect().then((text) => this.#tell(thread, { kind: "collected", id: message.id, text }));
        break;
      case "exposed": {
        const exposing = this.#exposing.get(message.id);
        exposing?.texts.push(message.text);
        if (exposing !== undefined && --exposing.left === 0) exposing.done();
        break;
      }
      case "drained":
        if (++this.#drained === this.#threads.length) this.#allDrained.resolve();
        break;
      default:
        break;
    }
  }

  async #collect(): Promise<string> {
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<void>();
    const exposing: Exposing = { texts: [], left: this.#threads.length, done: resolve };
    this.#exposing.set(id, exposing);
    this.#tellAll({ kind: "expose", id });
    await Promise.race([promise, Bun.sleep(EXPOSE_PATIENCE)]);
    this.#exposing.delete(id);
    return mergeExpositions(exposing.texts);
  }

  #tell(thread: Worker, message: ToThread): void {
    thread.postMessage(message);
  }

  #tellAll(message: ToThread): void {
    for (const thread of this.#threads) this.#tell(thread, message);
  }
}

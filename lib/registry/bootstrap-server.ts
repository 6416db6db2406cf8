import { EventFd } from "../../ffi/libc/index.ts";
import { KVTransferError } from "../errors.ts";
import { type RegistryReport, RegistryControl, type RegistryStart } from "./worker-protocol.ts";

export interface BootstrapServerOptions {
  readonly host: string;
  /** 0 takes a free one. SGLang's usual port is 8998. */
  readonly port: number;
  readonly leaseMs?: number;
  readonly maxMembers?: number;
  readonly token?: string | undefined;
  /** CURVE secret key (Z85): clients must know the public one. */
  readonly serverSecretKey?: string | undefined;
  readonly startTimeoutMs?: number;
  /** A short time slice for its thread, so that it runs as soon as it is woken. Default: true. */
  readonly promptThreads?: boolean;
}

/** The registry of one prefill instance: a ROUTER socket in a thread of its own. See `Registry` for what it does. */
export class KVBootstrapServer implements AsyncDisposable {
  readonly host: string;
  readonly port: number;
  readonly #worker: Worker;
  readonly #wake: EventFd;
  readonly #control: Int32Array;
  #closing: Promise<void> | undefined;

  private constructor(worker: Worker, wake: EventFd, control: Int32Array, host: string, port: number) {
    this.#worker = worker;
    this.#wake = wake;
    this.#control = control;
    this.host = host;
    this.port = port;
    worker.unref();
  }

  /** @throws {KVTransferError} NATIVE with the status by name, e.g. EADDRINUSE. */
  static async start(options: BootstrapServerOptions): Promise<KVBootstrapServer> {
    const { host, port, leaseMs = 5_000, maxMembers = 4_096, startTimeoutMs = 10_000 } = options;
    const wake = EventFd.create();
    const control = new Int32Array(new SharedArrayBuffer(RegistryControl.words * 4));
    const worker = new Worker(new URL("./worker.ts", import.meta.url).href);
    const { token, serverSecretKey, promptThreads = true } = options;
    const start: RegistryStart = {
      host,
      port,
      leaseMs,
      maxMembers,
      token,
      serverSecretKey,
      promptThreads,
      wakeFd: wake.fd,
      control: control.buffer as SharedArrayBuffer,
    };
    try {
      const report = await firstReport(worker, start, startTimeoutMs);
      if (report.report === "listening") return new KVBootstrapServer(worker, wake, control, host, report.port);
      throw new KVTransferError("NATIVE", report.message, { step: "bind", status: report.status });
    } catch (error) {
      wake.close();
      throw error;
    }
  }

  /** `host:port`, as clients dial it: a wildcard host is reached through loopback. */
  get address(): string {
    const host = this.host === "0.0.0.0" || this.host === "*" ? "127.0.0.1" : this.host === "::" ? "[::1]" : this.host;
    return `${host}:${this.port}`;
  }

  /** Members that are registered now. */
  get memberCount(): number {
    return Atomics.load(this.#control, RegistryControl.members);
  }

  /** Idempotent. Waits until the thread has let go of the port. */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    Atomics.store(this.#control, RegistryControl.stop, 1);
    this.#worker.ref();
    this.#wake.signal();
    for (;;) {
      if (Atomics.load(this.#control, RegistryControl.stopped) === 1) break;
      const wait = Atomics.waitAsync(this.#control, RegistryControl.stopped, 0, 5_000);
      if (wait.async && (await wait.value) === "timed-out") {
        throw new KVTransferError("DEADLINE", "the registry's thread did not stop in 5000 ms", { step: "close" });
      }
    }
    this.#worker.unref();
    this.#wake.close();
  }
}

function firstReport(worker: Worker, start: RegistryStart, timeoutMs: number): Promise<RegistryReport> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new KVTransferError("DEADLINE", `the registry's thread did not start in ${timeoutMs} ms`, { step: "start" }),
      );
    }, timeoutMs);
    worker.addEventListener("message", (event: MessageEvent<RegistryReport>) => {
      clearTimeout(timer);
      resolve(event.data);
    });
    worker.addEventListener("error", (event) => {
      clearTimeout(timer);
      reject(new KVTransferError("INTERNAL", `the registry's thread died: ${event.message}`, { step: "start" }));
    });
    worker.postMessage(start);
  });
}

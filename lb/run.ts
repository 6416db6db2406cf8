import { Balancer } from "./balancer.ts";
import type { Options } from "./config/index.ts";
import { drain } from "./drain.ts";
import { loadPolicies } from "./policy/index.ts";
import { serve, serveAside } from "./server.ts";
import { ThreadPool } from "./threads/pool.ts";

/** Runs the load balancer until SIGTERM or SIGINT has been followed by the end of the last request. */
export async function run(options: Options): Promise<void> {
  const policies = await loadPolicies(options);
  const balancer = new Balancer(options, { policies });
  balancer.addConfigured();
  const { log } = balancer;

  let port: number;
  let drained = (): Promise<void> => drain(balancer);
  if (options.workers > 1) {
    const threads = new ThreadPool(balancer);
    port = await threads.start(options.workers, options.port);
    drained = () => threads.drain();
  } else {
    port = serve(balancer, options.port).port;
  }
  if (options.adminPort !== undefined) serveAside(balancer, options.adminPort, "admin");
  if (options.prometheusPort !== undefined) serveAside(balancer, options.prometheusPort, "metrics");
  balancer.health.checkAll();

  const names = (role: "prefill" | "decode"): string[] => balancer.fleet.of(role).map(({ name }) => name);
  log.info(
    { host: options.host, port, prefill: names("prefill"), decode: names("decode"), workers: options.workers },
    "listening",
  );

  let asked = 0;
  const stop = (signal: string): void => {
    // Asked twice, it does not wait.
    if (++asked > 1) process.exit(1);
    log.info({ signal }, "draining");
    balancer.draining = true;
    void drained().then(() => {
      log.info("stopped");
      process.exit(0);
    });
  };
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
}

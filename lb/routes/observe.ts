import type { Hono } from "hono";
import type { Balancer } from "../balancer.ts";
import dashboard from "../dashboard/dashboard.html" with { type: "text" };
import { openApiDocument } from "./openapi.ts";
import { workerView } from "./workers.ts";

const DASHBOARD_EVERY = 1000;

/** What the dashboard shows; everything that changes. */
function snapshot(balancer: Balancer): Record<string, unknown> {
  const { metrics, admission, fleet } = balancer;
  const phases = { dispatched: 0, accepted: 0, streaming: 0, done: 0 };
  for (const attempt of balancer.live) phases[attempt.phase]++;
  const ms = (seconds: number): number => Math.round(seconds * 1e5) / 100;
  return {
    time: Date.now(),
    uptime: Math.round((Date.now() - balancer.startedAt) / 1000),
    draining: balancer.draining,
    active: admission.active,
    waiting: admission.waiting,
    phases,
    totals: { responses: metrics.responses, errors: metrics.errors, retries: metrics.retries, events: metrics.events },
    ttft: { p50: ms(metrics.firstToken.quantile(0.5)), p99: ms(metrics.firstToken.quantile(0.99)) },
    itl: { p50: ms(metrics.interToken.quantile(0.5)), p99: ms(metrics.interToken.quantile(0.99)) },
    workers: fleet.all().map(workerView),
  };
}

/** Metrics, the API's description, and the dashboard. */
export function observeRoutes(app: Hono, balancer: Balancer): void {
  app.get(
    "/metrics",
    async () =>
      new Response(await balancer.exposeMetrics(), {
        headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
      }),
  );
  app.get("/openapi.json", (c) => c.json(openApiDocument()));
  app.get("/dashboard", (c) => c.html(dashboard as unknown as string));
  app.get("/dashboard/events", (c) => {
    let timer: ReturnType<typeof setInterval> | undefined;
    const stream = new ReadableStream<string>({
      start(controller) {
        const send = (): void => controller.enqueue(`data: ${JSON.stringify(snapshot(balancer))}\n\n`);
        send();
        timer = setInterval(send, DASHBOARD_EVERY);
      },
      cancel: () => clearInterval(timer),
    });
    c.req.raw.signal.addEventListener("abort", () => clearInterval(timer));
    return new Response(stream, { headers: { "content-type": "text/event-stream", "cache-control": "no-store" } });
  });
}

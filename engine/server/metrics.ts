import { Hono } from "hono";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Engine } from "../engine.ts";
import type { Sequence, TransferReport } from "../scheduler/index.ts";

const LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** `GET /metrics`, in Prometheus' text format. */
export function metricsRoutes(engine: Engine): Hono {
  const registry = new Registry();
  registry.setDefaultLabels({ model_name: engine.modelName, disaggregation_mode: engine.role.mode });
  registerGauges(engine, registry);
  engine.onFinish(createRecorder(registry));
  return new Hono().get("/metrics", async (c) => {
    return c.text(await registry.metrics(), 200, { "content-type": registry.contentType });
  });
}

function registerGauges({ scheduler, pool, transfer }: Engine, registry: Registry): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `kvwire_engine_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge("running_requests", "Requests in the batch", () => scheduler.running);
  gauge("waiting_requests", "Requests that wait for pages or a place in the batch", () => scheduler.waiting);
  gauge("live_requests", "Requests that have not ended", () => scheduler.liveCount);
  gauge("kv_pages_used", "Pages of the KV pool that are held", () => pool.allocator.used);
  gauge("kv_pages", "Pages of the KV pool", () => pool.allocator.pages);
  if (!transfer) return;
  const { manager } = transfer;
  gauge("rooms", "Rooms that hold a place, ended or not", () => manager.figures.rooms);
  gauge(
    "rooms_early",
    "Prefill: rooms that decode asked for before the request came",
    () => manager.figures.earlyRooms,
  );
  gauge("queue_pairs", "RDMA queue pairs of those connections", () => manager.figures.queuePairs);
  gauge("pairs", "Connections to ranks of the other half", () => manager.figures.pairs);
}

function createRecorder(registry: Registry): (sequence: Sequence) => void {
  const registers = [registry];
  const finished = new Counter({
    name: "kvwire_engine_requests_total",
    help: "Requests that have ended, by reason",
    labelNames: ["reason"],
    registers,
  });
  const promptTokens = new Counter({ name: "kvwire_engine_prompt_tokens_total", help: "Tokens of prompts", registers });
  const newTokens = new Counter({ name: "kvwire_engine_generated_tokens_total", help: "Tokens generated", registers });
  const buckets = LATENCY_BUCKETS;
  const firstToken = new Histogram({
    name: "kvwire_engine_time_to_first_token_seconds",
    help: "From submission to the first token",
    buckets,
    registers,
  });
  const transferred = createTransferRecorder(registers);
  const latency = new Histogram({
    name: "kvwire_engine_request_seconds",
    help: "From submission to the end",
    buckets,
    registers,
  });
  return ({ request, output, error, transfer, submittedAt, firstTokenAt, finishedAt }) => {
    if (transfer) transferred(transfer);
    finished.inc({ reason: error ? "error" : (output.finishReason?.type ?? "abort") });
    promptTokens.inc(request.prompt.length);
    newTokens.inc(output.tokens.length);
    if (firstTokenAt !== undefined) firstToken.observe((firstTokenAt - submittedAt) / 1000);
    if (finishedAt !== undefined) latency.observe((finishedAt - submittedAt) / 1000);
  };
}

function createTransferRecorder(registers: Registry[]): (transfer: TransferReport) => void {
  const counter = (name: string, help: string) =>
    new Counter({ name: `kvwire_engine_kv_transfer${name}_total`, help, labelNames: ["transport"], registers });
  const transfers = counter("s", "Caches that went from prefill to decode");
  const pages = counter("_pages", "Pages of those caches");
  const bytes = counter("_bytes", "Bytes of those caches");
  const writing = counter("_writing_seconds", "Prefill: time with writes of one of them under way");
  const tail = counter("_tail_seconds", "Prefill: time from a prompt's last chunk to the end of its transfer");
  return (transfer) => {
    const labels = { transport: transfer.transport ?? "none" };
    transfers.inc(labels);
    pages.inc(labels, transfer.pages);
    bytes.inc(labels, transfer.bytes);
    if (!("writing" in transfer.seconds)) return;
    writing.inc(labels, transfer.seconds.writing);
    tail.inc(labels, transfer.seconds.tail);
  };
}

import { readFileSync } from "node:fs";
import { Device } from "../../ffi/verbs/index.ts";
import { DEPTH, routableGid, TIMEOUT } from "./endpoint.ts";
import { on, processors } from "./processor.ts";
import { BATCH, type Latency, LATENCY_BYTES } from "./workloads.ts";

const LISTENING = "0A";
const START_DEADLINE_MS = 10_000;

export type BandwidthTool = "ib_write_bw" | "ib_read_bw" | "ib_send_bw";
type PerftestTool = BandwidthTool | "ib_write_lat";

export interface PerftestResult {
  /** MiB/s. */
  readonly figure: number;
  /** Seconds of processor time of the client, its start included. */
  readonly processorTime: number;
}

function freePort(): number {
  using server = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data() {} } });
  return server.port;
}

function isListening(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const tables = ["/proc/net/tcp", "/proc/net/tcp6"].map((file) => readFileSync(file, "utf8")).join("\n");
  return new RegExp(`:${hex} [0-9A-F]+:0000 ${LISTENING} `).test(tables);
}

function flags(tool: PerftestTool, size: number, count: number, port: number): string[] {
  using context = Device.find().open();
  const { index } = routableGid(context);
  const { activeMtu } = context.port(1).query();
  const common = { d: context.device.name, x: index, m: activeMtu, s: size, n: count, p: port, u: TIMEOUT };
  const latency = tool === "ib_write_lat";
  const depth = { t: DEPTH, Q: BATCH, ...(tool === "ib_send_bw" && { r: 2 * DEPTH }) };
  const all = Object.entries({ ...common, ...(latency ? {} : depth) });
  return ["-F", ...all.flatMap(([name, value]) => [`-${name}`, String(value)])];
}

function start(command: string[]) {
  return Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "ignore" });
}

interface Finished {
  /** The columns of the table behind size and count. */
  readonly columns: readonly number[];
  readonly processorTime: number;
}

/** Runs a server and a client of perftest on this machine. */
async function run(tool: PerftestTool, size: number, count: number): Promise<Finished> {
  const port = freePort();
  const words = [tool, ...flags(tool, size, count, port)];
  await using server = start(on(processors.server, words));
  const deadline = performance.now() + START_DEADLINE_MS;
  while (!isListening(port)) {
    if (server.exitCode !== null || performance.now() > deadline) throw new Error(`${tool} does not start`);
    await Bun.sleep(5);
  }
  await using client = start(on(processors.client, [...words, "127.0.0.1"]));
  const output = await client.stdout.text();
  await Promise.all([client.exited, server.exited]);
  const row = new RegExp(`^ *${size} +${count} +(.*)$`, "m").exec(output)?.[1]?.trim();
  const columns = row?.split(/\s+/).map(Number) ?? [];
  if (columns.length < 2 || !columns.every(Number.isFinite)) {
    throw new Error(`${words.join(" ")}: no figure in\n${output}`);
  }
  return { columns, processorTime: Number(client.resourceUsage()!.cpuTime.total) / 1e6 };
}

export async function perftest(tool: BandwidthTool, size: number, count: number): Promise<PerftestResult> {
  const { columns, processorTime } = await run(tool, size, count);
  // Peak, average, message rate.
  return { figure: columns[1]!, processorTime };
}

export async function perftestLatency(count: number): Promise<Latency> {
  const { columns } = await run("ib_write_lat", LATENCY_BYTES, count);
  // Least, most, typical, average.
  return { typical: columns[2]!, average: columns[3]! };
}

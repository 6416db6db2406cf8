/** The transports by name, and how another is added. @module */
import { existsSync } from "node:fs";
import { KVUserError } from "../errors.ts";
import { createCmaTransport } from "./cma/index.ts";
import { createCudaIpcTransport } from "./cuda-ipc/index.ts";
import { rehearseTransport, type WaitingReactor } from "./rehearse.ts";
import { createShmTransport } from "./shm/index.ts";
import { openStaged } from "./staging/index.ts";
import { createTcpTransport } from "./tcp/index.ts";
import type { Transport, TransportContext, TransportData, TransportFactory } from "./transport.ts";

const factories = new Map<string, TransportFactory>([
  ["cuda-ipc", createCudaIpcTransport],
  ["shm", createShmTransport],
  ["cma", createCmaTransport],
  ["tcp", createTcpTransport],
]);

/** Those that are read only when they are opened. */
const late = new Map<string, () => Promise<TransportFactory>>([["verbs", loadVerbs]]);

/** These follow addresses on the processor; and they can send to their own thread at no cost worth naming. */
const HOST_MEMORY_ONLY: ReadonlySet<string> = new Set(["shm", "cma", "tcp"]);

/** What `auto` offers, best first: the transports of one host, then those between hosts. */
const AUTO = ["cuda-ipc", "shm", "cma", "verbs", "tcp"] as const;

/**
 * Makes a transport known under `name`. It runs in the progress thread, which has modules of its own: a transport of a
 * third party is therefore named by the path or URL of a module that exports `createTransport`, and this call is for
 * modules that the progress thread loads.
 */
export function registerTransport(name: string, factory: TransportFactory): void {
  factories.set(name, factory);
}

export function transportNames(): string[] {
  return [...factories.keys(), ...late.keys()];
}

/** `auto`, a name, a module's path, or a list of them, as the list of what to offer. Throws on an unknown name. */
export function transportList(asked: string | readonly string[]): string[] {
  const names = typeof asked === "string" ? asked.split(",").map((name) => name.trim()) : [...asked];
  const list = names.flatMap((name) => (name === "auto" ? AUTO : [name]));
  for (const name of list) {
    if (factories.has(name) || late.has(name) || isModule(name)) continue;
    throw new KVUserError(
      "BAD_ARGUMENT",
      `transport ${JSON.stringify(name)}: expected auto, ${transportNames().join(", ")}, or a module's path`,
    );
  }
  if (list.length === 0) throw new KVUserError("BAD_ARGUMENT", "no transport is named");
  return [...new Set(list)];
}

/** The transports' options, with what follows from how they were asked for: `auto` takes verbs only between hosts. */
export function transportOptions(
  asked: string | readonly string[],
  given: Readonly<Record<string, TransportData>>,
): Record<string, TransportData> {
  const names = typeof asked === "string" ? asked.split(",").map((name) => name.trim()) : asked;
  return names.includes("verbs") ? { ...given } : { ...given, verbs: { withinHost: false, ...given["verbs"] } };
}

/** Opens what can be used here; says of the others why not; and which of them rooms are rehearsed with, in host memory. */
export async function openTransports(
  names: readonly string[],
  contextFor: (name: string) => TransportContext,
  reactor: WaitingReactor,
): Promise<{ transports: Transport[]; unusable: string[]; rehearsable: TransportFactory }> {
  const transports: Transport[] = [];
  const unusable: string[] = [];
  let rehearsable: TransportFactory | undefined;
  for (const name of names) {
    try {
      const factory = factories.get(name) ?? (await (late.get(name)?.() ?? loadFactory(name)));
      const context = contextFor(name);
      const staged = HOST_MEMORY_ONLY.has(name) && context.buffers.some(({ gpu }) => gpu !== undefined);
      if (HOST_MEMORY_ONLY.has(name) && !staged) rehearseTransport(factory, context, reactor);
      const made = staged ? openStaged(name, factory, context) : factory(context);
      if ("unusable" in made) unusable.push(`${name}: ${made.unusable}`);
      else {
        transports.push(made);
        if (HOST_MEMORY_ONLY.has(name)) rehearsable ??= factory;
      }
    } catch (error) {
      unusable.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { transports, unusable, rehearsable: rehearsable ?? createShmTransport };
}

function isModule(name: string): boolean {
  return name.includes("/") || name.startsWith("file:");
}

async function loadFactory(path: string): Promise<TransportFactory> {
  const module = (await import(path)) as { createTransport?: TransportFactory };
  if (typeof module.createTransport !== "function") throw new TypeError("the module exports no createTransport");
  return module.createTransport;
}

/** A machine without an RDMA device does not pay for the bindings. */
async function loadVerbs(): Promise<TransportFactory> {
  const devices = "/sys/class/infiniband";
  if (!existsSync(devices)) return () => ({ unusable: `no RDMA device: there is no ${devices}` });
  return (await import("./verbs/index.ts")).createVerbsTransport;
}

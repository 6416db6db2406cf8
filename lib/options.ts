import { z } from "zod";
import { KVUserError } from "./errors.ts";

const milliseconds = z.number().positive();
const host = z.string().min(1);
const port = z.int().min(0).max(65_535);
const key = z.string().length(40);

const timeoutsSchema = z.strictObject({
  bootstrapMs: milliseconds.default(300_000),
  inputMs: milliseconds.default(300_000),
  transferMs: milliseconds.default(300_000),
  connectMs: milliseconds.default(10_000),
  leaseMs: milliseconds.default(5_000),
  idleMs: milliseconds.default(300_000),
  /** For the progress thread to start and to stop. */
  threadMs: milliseconds.default(10_000),
});

/** Z85 keys of 40 characters, as `curveKeypair` of kvwire/ffi makes them. */
const curveSchema = z.strictObject({
  serverKey: key,
  publicKey: key,
  secretKey: key,
  /** For the manager that serves the registry. */
  serverSecretKey: key.optional(),
});

/** Options of `KVManager.create` besides `args`. */
export const managerOptionsSchema = z.strictObject({
  role: z.enum(["prefill", "decode"]),
  /** Prefill: the registry of its instance; `serve` starts it in this process (rank 0 does). Port 0 takes a free one. */
  bootstrap: z.strictObject({ host, port, serve: z.boolean().default(false) }).optional(),
  /** `auto`, a transport's name, a module's path, or a list of them, best first. */
  transport: z.union([z.string(), z.array(z.string())]).default("auto"),
  /** By transport name. */
  transportOptions: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  /** The address at which other hosts reach this one; by default the one that the registry is reached from. */
  advertiseHost: host.optional(),
  /** Tells instances apart at one registry; by default random for decode, "0" for prefill. */
  instance: z.string().min(1).max(64).optional(),
  /**
   * Linux: short time slices for the threads that a room's messages wake, the engine's (who calls `create`) among them,
   * and a low priority for the process's JIT compilers. false leaves all threads as they are.
   */
  promptThreads: z.boolean().default(true),
  maxRooms: z.int().positive().default(4_096),
  /** Shared secret that the registry asks for. */
  token: z.string().max(1_024).optional(),
  curve: curveSchema.optional(),
  timeouts: timeoutsSchema.prefault({}),
});

export type ManagerOptions = z.input<typeof managerOptionsSchema>;
export type ParsedManagerOptions = z.output<typeof managerOptionsSchema>;

/** @throws {KVUserError} BAD_ARGUMENT naming the option, what was expected and what came. */
export function parseOptions(options: ManagerOptions): ParsedManagerOptions {
  const result = managerOptionsSchema.safeParse(options);
  if (!result.success) throw new KVUserError("BAD_ARGUMENT", `KVManager options: ${z.prettifyError(result.error)}`);
  const parsed = result.data;
  if (parsed.role === "prefill" && !parsed.bootstrap) {
    throw new KVUserError("BAD_ARGUMENT", "KVManager options: a prefill manager needs bootstrap { host, port }");
  }
  if (parsed.role === "decode" && parsed.bootstrap) {
    throw new KVUserError(
      "BAD_ARGUMENT",
      "KVManager options: a decode manager takes no bootstrap; each room names its own",
    );
  }
  return parsed;
}

import { OptionError } from "../errors.ts";
import { gpuMemory, heapMemory, type KvPool, type PoolMemory } from "../kvcache/index.ts";
import { defaults, type EngineOptions } from "../options.ts";
import { type Role, wholeRole } from "../scheduler/index.ts";
import { DecodeRole } from "./decode-role.ts";
import { KvLink } from "./kv-link.ts";
import { sharedMemory } from "./memory.ts";
import { PrefillRole } from "./prefill-role.ts";

/** What an engine's mode decides: where the pool's memory comes from, and what its scheduler's role is. */
export interface Half {
  readonly memory: PoolMemory;
  open(pool: KvPool, maxRunning: number): Promise<{ readonly role: Role; readonly transfer: KvLink | undefined }>;
}

const whole: Half = { memory: heapMemory, open: async () => ({ role: wholeRole, transfer: undefined }) };

/** @throws {OptionError} where a half is asked for without saying how it reaches the other. */
export function halfOf(options: EngineOptions): Half {
  const { disaggregationMode: mode = "null", disaggregation, kvDevice = defaults.kvDevice } = options;
  if (mode === "null") {
    if (kvDevice === "cpu") return whole;
    throw new OptionError("--kv-device", "cuda is for halves of a pair: one server alone computes where its pool is");
  }
  if (!disaggregation) throw new OptionError("--disaggregation-mode", `${mode} needs the disaggregation options`);
  return {
    memory: kvDevice === "cpu" ? sharedMemory : onGpu(options.baseGpuId ?? defaults.baseGpuId),
    open: async (pool, maxRunning) => {
      // A slot is lent from before the transfer until nothing can touch it, a little longer than a place in the batch.
      const transfer = await KvLink.create(mode, disaggregation, pool, 2 * maxRunning);
      const role = mode === "prefill" ? new PrefillRole(transfer) : new DecodeRole(transfer, maxRunning);
      return { role, transfer };
    },
  };
}

function onGpu(ordinal: number): PoolMemory {
  try {
    return gpuMemory(ordinal);
  } catch (cause) {
    throw new OptionError(
      "--kv-device",
      `cuda cannot be had: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
}

import { z } from "zod";
import { RequestError } from "../errors.ts";
import type { BootstrapAddress } from "../scheduler/index.ts";

const room = z.union([z.number().int(), z.bigint()]);
const port = z.number().int().min(1).max(65_535).nullable();
const host = z.string();

/** The fields that a load balancer adds for a disaggregated pair; one for all prompts, or a list with one for each. */
export const bootstrapFields = {
  bootstrap_host: z.union([host, z.array(host)]).nullish(),
  bootstrap_port: z.union([port, z.array(port)]).nullish(),
  bootstrap_room: z.union([room, z.array(room)]).nullish(),
};

const bootstrapSchema = z.object(bootstrapFields);
export type BootstrapFields = z.infer<typeof bootstrapSchema>;

/**
 * Where prompt `index` of `count` meets its other half; undefined where no room is named. One room for several prompts
 * stands for as many in a row, as in SGLang (io_struct.py).
 * @throws {RequestError} 400 for a list of another length
 */
export function readBootstrap(body: BootstrapFields, index: number, count: number): BootstrapAddress | undefined {
  const pick = <T>(value: T | T[] | null | undefined, name: string): T | undefined => {
    if (!Array.isArray(value)) return value ?? undefined;
    if (value.length === count) return value[index];
    throw RequestError.invalid(`${name}: ${value.length} entries for ${count} prompts`);
  };
  const given = pick(body.bootstrap_room, "bootstrap_room");
  if (given === undefined) return undefined;
  const number = BigInt(given);
  return {
    host: pick(body.bootstrap_host, "bootstrap_host") ?? "",
    port: pick(body.bootstrap_port, "bootstrap_port") ?? undefined,
    room: Array.isArray(body.bootstrap_room) ? number : number + BigInt(index),
  };
}

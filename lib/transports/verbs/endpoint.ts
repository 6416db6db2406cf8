import { z } from "zod";

export const PROTOCOL_VERSION = 1;
const MAX_LANES = 64;

const u24 = z.int().min(0).max(0xff_ffff);
const u32 = z.int().min(0).max(0xffff_ffff);
const address = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

const laneSchema = z.object({ rail: z.int().min(0), queuePair: u24, packetSequence: u24 });

const railSchema = z.object({
  linkLayer: z.string(),
  lid: z.int().min(0).max(0xffff),
  /** Absent on InfiniBand, where the LID is enough. */
  gid: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .refine((hex) => !/0{16}$/.test(hex), "a null GID")
    .optional(),
  mtu: z.int().min(256).max(4_096),
});
export type RailAddress = z.infer<typeof railSchema>;

const lanes = z.array(laneSchema).min(1).max(MAX_LANES);
/** How many messages each lane takes ahead. */
const receives = z.int().min(8).max(0xffff);

const onRails = (data: { lanes: readonly { rail: number }[]; rails: readonly unknown[] }): boolean =>
  data.lanes.every(({ rail }) => rail < data.rails.length);

/** Decode → prefill, in `connect`: who it is, and what may be written to by which key. */
export const offerSchema = z.union([
  z.object({ version: z.literal(PROTOCOL_VERSION), unusable: z.string() }),
  z
    .object({
      version: z.literal(PROTOCOL_VERSION),
      host: z.string(),
      withinHost: z.boolean(),
      receives,
      lanes,
      rails: z.array(railSchema.extend({ keys: z.array(u32) })).min(1),
      ranges: z.array(z.object({ address, byteLength: address })),
    })
    .refine(onRails, "a queue pair on a rail that is not there")
    .refine(({ rails, ranges }) => rails.every(({ keys }) => keys.length === ranges.length), "one key for each range"),
]);

/** Prefill → decode, in `accept`: lane i is the other end of the offer's lane i. */
export const endpointSchema = z
  .object({
    version: z.literal(PROTOCOL_VERSION),
    receives,
    lanes,
    rails: z.array(railSchema).min(1),
  })
  .refine(onRails, "a queue pair on a rail that is not there");

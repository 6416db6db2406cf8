import { z } from "zod";

export const PROTOCOL_VERSION = 3;
export const MAX_LANES = 64;

const u24 = z.int().min(0).max(0xff_ffff);
const u32 = z.int().min(0).max(0xffff_ffff);
const address = z.int().min(0).max(Number.MAX_SAFE_INTEGER);

/** The two ends of a lane have the same `place`; each side's rails take turns by it. */
const laneSchema = z.object({
  place: z
    .int()
    .min(0)
    .max(MAX_LANES - 1),
  queuePair: u24,
  packetSequence: u24,
});

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

const lanes = z
  .array(laneSchema)
  .min(1)
  .max(MAX_LANES)
  .refine((all) => new Set(all.map(({ place }) => place)).size === all.length, "two queue pairs in one place");
/** How many messages each lane takes ahead. */
const receives = z.int().min(8).max(0xff);

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
      /** Without keys, each room is told its own. */
      rails: z.array(railSchema.extend({ keys: z.array(u32).optional() })).min(1),
      ranges: z.array(z.object({ address, byteLength: address })),
    })
    .refine(
      ({ rails, ranges }) => rails.every(({ keys }) => !keys || keys.length === ranges.length),
      "one key for each range",
    ),
]);
export type Offer = Extract<z.infer<typeof offerSchema>, { host: string }>;

/** Prefill → decode, in `accept`: the other ends of the offer's lanes, or of some where prefill has not all. */
export const endpointSchema = z.object({
  version: z.literal(PROTOCOL_VERSION),
  receives,
  /** Bytes that a message may carry. */
  carries: z.int().min(0).default(0),
  lanes,
  rails: z.array(railSchema).min(1),
});
export type Endpoint = z.infer<typeof endpointSchema>;

/** The rail of a place: one of a side's rails, in turn. */
export function railOf<T>(rails: readonly T[], place: number): T {
  return rails[place % rails.length]!;
}

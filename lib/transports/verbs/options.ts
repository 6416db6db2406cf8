import { z } from "zod";

const names = z
  .union([z.string().transform((list) => list.split(",")), z.array(z.string())])
  .transform((list) => list.map((name) => name.trim()).filter((name) => name !== ""))
  .refine((list) => list.length > 0, "expected the name of a device, or several with commas between");

/** Times and counts of queue pairs are in the encodings of ibv_modify_qp(3). */
export const verbsOptionsSchema = z
  .strictObject({
    /** Devices, `mlx5_0` or `mlx5_0,mlx5_1`; each is a rail. Default: the best one. */
    device: names.optional(),
    port: z.int().min(1).max(255).optional(),
    gidIndex: z.int().min(0).max(255).optional(),
    /** PCI address of what the device is to be near to, `0000:3b:00.0`. Default: the GPU that the memory is on, if it is on one. */
    near: z.string().optional(),
    trafficClass: z.int().min(0).max(255).default(0),
    serviceLevel: z.int().min(0).max(15).default(0),
    hopLimit: z.int().min(1).max(255).default(64),
    /** Bytes; what both ports can carry unless given. */
    mtu: z.union([z.literal(256), z.literal(512), z.literal(1024), z.literal(2048), z.literal(4096)]).optional(),
    timeout: z.int().min(1).max(31).default(14),
    retryCount: z.int().min(0).max(7).default(7),
    /** Credits keep a sender from ever needing this. */
    rnrRetry: z.int().min(0).max(7).default(3),
    /** For each pair of ranks, on each rail. */
    queuePairs: z.int().min(1).max(16).default(1),
    /** Requests that a queue pair holds, and messages that a peer may send ahead. */
    sendRequests: z.int().min(32).max(32_768).default(512),
    receiveRequests: z.int().min(8).max(128).default(128),
    /** Source segments that one write gathers, where the device can. */
    gatherLimit: z.int().min(1).max(64).default(16),
    maxWriteBytes: z.int().min(4_096).max(0x4000_0000).default(1_048_576),
    /** Bytes under way on one queue pair: what a fence may have to wait for. */
    windowBytes: z.int().min(4_096).default(33_554_432),
    /** How long a silent sender is waited for before its queue pairs are closed to fence a room. */
    fenceGraceMs: z.number().positive().default(1_000),
    /**
     * Gives each room keys of its own on each queue pair, by memory windows of type 2, where the device has them: a sender that
     * does not answer loses the room's keys and not its queue pairs. For each range of memory that is two requests and a
     * message a room, and drivers are not all tried: the keys of the memory as a whole are the default.
     */
    windows: z.boolean().default(false),
    /** How many times slower than another of its pair's a rail may be before it is left out. */
    crawlRatio: z.number().min(2).default(20),
    /** After this a rail that was left out is tried again; after twice as long the next time, up to 32 times. */
    rejoinMs: z.number().positive().default(2_000),
    /** Of this manager, over all peers and rails. */
    maxQueuePairs: z.int().min(1).default(4_096),
    /** Whether processes of one host may use it: `auto` leaves those to tcp where neither shm nor cma works. */
    withinHost: z.boolean().default(true),
    /** Print every device with the reason why it was taken or not. */
    explain: z.boolean().default(false),
  })
  .refine(({ maxWriteBytes, windowBytes }) => windowBytes >= maxWriteBytes, {
    message: "windowBytes must be maxWriteBytes at least",
    path: ["windowBytes"],
  });
export type VerbsOptions = z.infer<typeof verbsOptionsSchema>;

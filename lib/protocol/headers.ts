/** The headers of all messages, by who says them: each is parsed with its schema when it comes in. @module */
import { z } from "zod";
import { MAX_DETAIL, MAX_MESSAGE, TransferErrorCode } from "../errors.ts";
import { kvLayoutSchema } from "../planner/index.ts";

/** A tag has 32 bits. */
export const MAX_TAG = 0xffff_ffff;
/** Decode ranks that want one room of one prefill rank. */
export const MAX_INFOS = 4_096;

const uint = z.number().int().nonnegative();
const roomId = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
export const shortText = z.string().max(MAX_DETAIL);
const transportData = z.record(z.string(), z.unknown());

export const transferErrorSchema = z.object({
  code: z.enum(TransferErrorCode),
  message: z.string().max(MAX_MESSAGE),
  room: z.number().optional(),
  peer: shortText.optional(),
  step: shortText.optional(),
  status: shortText.optional(),
});

/** A manager as its peers know it. `id` is unique at a registry; a new epoch under an old id is a restarted process. */
export const memberSchema = z.object({
  id: shortText.min(1),
  epoch: shortText.min(1),
  role: z.enum(["prefill", "decode"]),
  dpRank: uint,
  dpSize: uint.min(1),
  layout: kvLayoutSchema,
  transports: z.array(shortText).max(32),
});
export type Member = z.infer<typeof memberSchema>;

const pair = shortText.min(1);

/** Messages between the managers of a pair, which the registry hands on. */
export const relayed = {
  /** Decode offers its ends, best first. */
  connect: z.object({ pair, offers: z.array(z.object({ transport: shortText, offer: transportData })).max(32) }),
  /** Prefill took one. `notes` say why not another. */
  accept: z.object({
    pair,
    transport: shortText,
    endpoint: transportData,
    notes: z.array(z.string().max(1_024)).max(32),
  }),
  /** Prefill could use none. */
  reject: z.object({ pair, error: transferErrorSchema }),
  /** Decode's end can be written to: the barrier before the first write. */
  ready: z.object({ pair }),
  /** Decode's pages (second frame) and aux slot for a room. `infos`: decode ranks that this prefill rank must hear. */
  room: z.object({
    pair,
    room: roomId,
    tag: uint.max(MAX_TAG),
    auxIndex: uint,
    decodePrefixTokens: uint,
    /** The receiver needs nothing from this rank (a replica of the MLA latent): only the states are run through. */
    dummy: z.boolean(),
    infos: uint.min(1).max(MAX_INFOS),
  }),
  /** Decode gave the room up. */
  abort: z.object({ room: roomId, tag: uint.max(MAX_TAG), error: transferErrorSchema }),
  /** Prefill gave the room up. */
  failed: z.object({ room: roomId, tag: uint.max(MAX_TAG), error: transferErrorSchema }),
} as const;

export const requests = {
  register: z.object({ member: memberSchema, token: z.string().max(1_024).optional() }),
  heartbeat: z.object({}),
  bye: z.object({}),
} as const;

export const RegistryErrorCode = {
  BAD_FRAME: "BAD_FRAME",
  BAD_TOKEN: "BAD_TOKEN",
  BAD_VERSION: "BAD_VERSION",
  TOO_MANY_MEMBERS: "TOO_MANY_MEMBERS",
  UNKNOWN_MEMBER: "UNKNOWN_MEMBER",
  UNKNOWN_SENDER: "UNKNOWN_SENDER",
  UNKNOWN_TYPE: "UNKNOWN_TYPE",
} as const;

export const answers = {
  registered: z.object({ registryEpoch: shortText, leaseMs: z.number().positive(), members: z.array(memberSchema) }),
  joined: z.object({ member: memberSchema }),
  lost: z.object({ id: shortText, epoch: shortText, reason: z.string().max(1_024) }),
  heartbeat: z.object({ registryEpoch: shortText }),
  error: z.object({
    code: z.enum(RegistryErrorCode),
    message: z.string().max(2_048),
    /** The type of the message that was refused, and whom it was for. */
    about: shortText.optional(),
    to: shortText.optional(),
    room: roomId.optional(),
    pair: pair.optional(),
  }),
} as const;

type Headers<T extends Record<string, z.ZodType>> = { [K in keyof T]: z.infer<T[K]> };
export type RelayedHeaders = Headers<typeof relayed>;
export type RequestHeaders = Headers<typeof requests>;
export type AnswerHeaders = Headers<typeof answers>;

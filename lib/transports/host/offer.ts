import { z } from "zod";
import { tokenSchema } from "../pairs/index.ts";

/** What the receiver offers: where it listens, and what to say there. */
export const offerSchema = z.strictObject({ name: z.string().min(1).max(107), token: tokenSchema });

/** What the sender answers: the nonce of its hello, so that registry and socket are seen to lead to one process. */
export const endpointSchema = z.strictObject({ nonce: tokenSchema });

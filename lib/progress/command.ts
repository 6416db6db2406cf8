import { asTransferError } from "../errors.ts";
import type { RoomTable, SlotRef } from "../rooms/index.ts";

/** What the engine's thread asks of the progress thread. Page indices travel beside the JSON, as they are. */
export type Command =
  | { readonly op: "open-sender"; readonly ref: SlotRef; readonly room: number; readonly bootstrapAddr?: string }
  | { readonly op: "init-sender"; readonly ref: SlotRef; readonly numPages: number; readonly auxIndex: number }
  | { readonly op: "send"; readonly ref: SlotRef; readonly pages: Int32Array<ArrayBuffer> }
  | { readonly op: "open-receiver"; readonly ref: SlotRef; readonly room: number; readonly bootstrapAddr: string }
  | {
      readonly op: "init-receiver";
      readonly ref: SlotRef;
      readonly pages: Int32Array<ArrayBuffer>;
      readonly auxIndex: number;
      readonly decodePrefixTokens: number;
      readonly prefillDpRank: number | undefined;
    }
  | { readonly op: "abort"; readonly ref: SlotRef; readonly reason: string }
  | { readonly op: "clear"; readonly ref: SlotRef }
  | { readonly op: "stop" };

/** There is no progress thread any more to carry `command` out: the room that it opens fails with the reason. */
export function refuse(table: RoomTable, command: Command, reason: unknown): void {
  if (command.op !== "open-sender" && command.op !== "open-receiver") return;
  table.fail(command.ref, asTransferError(reason, { step: "progress" }).forRoom(command.room));
  table.release(command.ref);
}

import type { KVTransferError } from "../errors.ts";
import { KVPoll, type RoomTable } from "../rooms/index.ts";
import type { Command } from "./command.ts";
import { giveUp, RoomBook, type RoomRecord } from "./room-book.ts";

interface FakeRoom extends RoomRecord {
  missingPages: number;
}

/** Rooms with SGLang's fake peer: every state is gone through, nothing is sent. What warm-up requests use. */
export class FakeRooms {
  readonly #book: RoomBook<FakeRoom>;
  readonly #table: RoomTable;

  constructor(table: RoomTable, now: () => number) {
    this.#table = table;
    this.#book = new RoomBook(table, now);
  }

  open(command: Extract<Command, { op: "open-sender" | "open-receiver" }>): void {
    const ended = { ended: false, released: false, cleared: false };
    const { ref, room } = command;
    this.#book.open({ ref, room, deadlineAt: Infinity, waitingFor: "the engine", missingPages: Infinity, ...ended });
    this.#table.advance(ref, KVPoll.WaitingForInput);
  }

  /** False: the command is for a real room. */
  execute(command: Command): boolean {
    if (!("ref" in command)) return false;
    const room = this.#book.get(command.ref);
    if (!room) return false;
    switch (command.op) {
      case "init-sender":
        room.missingPages = command.numPages;
        break;
      case "send":
        room.missingPages -= command.pages.length;
        this.#table.advance(room.ref, KVPoll.Transferring);
        if (room.missingPages === 0) this.#end(room);
        break;
      case "init-receiver":
        this.#end(room);
        break;
      case "abort":
      case "clear":
        giveUp(command, this.#book, (each, error) => this.#end(each, error));
    }
    return true;
  }

  failAll(error: KVTransferError): void {
    for (const room of this.#book) this.#end(room, error);
  }

  #end(room: FakeRoom, error?: KVTransferError): void {
    if (!error) return this.#book.succeed(room);
    this.#book.fail(room, error);
    this.#book.release(room);
  }
}

import { describe, expect, test } from "bun:test";
import { KVTransferError, KVUserError } from "../../../lib/errors.ts";
import { KVPoll, RoomTable, tagToRef, toTag } from "../../../lib/rooms/index.ts";

describe("RoomTable", () => {
  test("states only go up, and Failed wins until the room has succeeded", () => {
    const table = RoomTable.allocate(2);
    const ref = table.acquire(7, 0);
    expect(table.state(ref)).toBe(KVPoll.Bootstrapping);
    expect(table.advance(ref, KVPoll.Transferring)).toBe(true);
    expect(table.advance(ref, KVPoll.WaitingForInput)).toBe(false);
    expect(table.state(ref)).toBe(KVPoll.Transferring);
    expect(table.fail(ref, new KVTransferError("PEER_LOST", "gone", { room: 7 }))).toBe(true);
    expect(table.succeed(ref)).toBe(false);
    expect(table.state(ref)).toBe(KVPoll.Failed);
    expect(table.error(ref)).toMatchObject({ code: "PEER_LOST", room: 7, message: "gone" });

    const other = table.acquire(8, 0);
    table.succeed(other);
    expect(table.fail(other, new KVTransferError("PEER_LOST", "late"))).toBe(false);
    expect(table.state(other)).toBe(KVPoll.Success);
  });

  test("a room that was cleared is never resurrected: its slot's next room has another generation", () => {
    const table = RoomTable.allocate(1);
    const old = table.acquire(1, 0);
    table.fail(old, new KVTransferError("ABORTED", "x"));
    table.free(old);
    expect(table.state(old)).toBeUndefined();
    expect(table.released(old)).toBe(true);
    const next = table.acquire(2, 0);
    expect(next.slot).toBe(old.slot);
    expect(toTag(next)).not.toBe(toTag(old));
    expect(table.fail(old, new KVTransferError("PEER_LOST", "late"))).toBe(false);
    expect(table.succeed(old)).toBe(false);
    expect(table.state(next)).toBe(KVPoll.Bootstrapping);
    expect(table.error(next)).toBeUndefined();
  });

  test("generations go round without becoming 0, and tags tell them apart", () => {
    const table = RoomTable.allocate(1);
    const seen = new Set<number>();
    for (let i = 0; i < 65_600; i++) {
      const ref = table.acquire(i, 0);
      expect(ref.generation).toBeGreaterThan(0);
      if (i < 1_000) seen.add(toTag(ref));
      if (i % 10_000 === 0) expect(tagToRef(toTag(ref))).toEqual(ref);
      table.succeed(ref);
      table.free(ref);
    }
    expect(seen.size).toBe(1_000);
    expect(table.used).toBe(0);
  });

  test("a full table is a typed error, and a freed slot can be had again", () => {
    const table = RoomTable.allocate(2);
    const first = table.acquire(1, 0);
    table.acquire(2, 0);
    expect(() => table.acquire(3, 0)).toThrow(KVUserError);
    expect(() => table.acquire(3, 0)).toThrow(expect.objectContaining({ code: "ROOM_TABLE_FULL", room: 3 }));
    table.free(first);
    expect(table.acquire(3, 0).slot).toBe(first.slot);
  });

  test("errors longer than their place lose their tail, never their code", () => {
    const table = RoomTable.allocate(1);
    for (const text of ["x".repeat(5_000), "ü€𝄞".repeat(1_000)]) {
      const ref = table.acquire(1, 0);
      table.fail(ref, new KVTransferError("NATIVE", text, { peer: text, step: text, status: "EIO" }));
      const error = table.error(ref)!;
      expect(error.code).toBe("NATIVE");
      expect(error.message.startsWith(text.slice(0, 50))).toBe(true);
      table.free(ref);
    }
  });

  test("waiting ends when another thread stores, also if it did so before", async () => {
    const table = RoomTable.allocate(1);
    const ref = table.acquire(1, 0);
    const ended = table.wait(ref, (state) => state === KVPoll.Success);
    table.advance(ref, KVPoll.Transferring);
    table.succeed(ref);
    await ended;
    await table.wait(ref, (state) => state === KVPoll.Success);
  });

  test.each([0, -1, 1.5, 65_536])("%p slots are refused", (slots) => {
    expect(() => RoomTable.allocate(slots)).toThrow("maxRooms must be an integer from 1 to 65535");
  });
});

import { describe, expect, test } from "bun:test";
import type { Command } from "../../../lib/progress/command.ts";
import { CommandRing } from "../../../lib/progress/command-ring.ts";

const ref = { slot: 3, generation: 9 };
const send = (count: number, from = 0): Command => ({
  op: "send",
  ref,
  pages: Int32Array.from({ length: count }, (_, i) => from + i),
});

describe("CommandRing", () => {
  test("commands come out as they went in, pages and all", () => {
    const ring = CommandRing.allocate(4_096);
    const commands: Command[] = [
      { op: "open-receiver", ref, room: 2 ** 53 - 1, bootstrapAddr: "höst:8998" },
      send(5, -2),
      { op: "init-receiver", ref, pages: new Int32Array(0), auxIndex: 1, decodePrefixTokens: 0, prefillDpRank: 2 },
      { op: "stop" },
    ];
    for (const command of commands) expect(ring.push(command)).toBe(true);
    for (const command of commands) expect(ring.pop()).toEqual(command);
    expect(ring.pop()).toBeUndefined();
    expect(ring.empty).toBe(true);
  });

  test("records wrap anywhere in the buffer", () => {
    const ring = CommandRing.allocate(1_024);
    for (let i = 0; i < 2_000; i++) {
      expect(ring.push(send(i % 97, i))).toBe(true);
      if (i % 3 === 0) expect(ring.push({ op: "clear", ref })).toBe(true);
      expect(ring.pop()).toEqual(send(i % 97, i));
      if (i % 3 === 0) expect(ring.pop()).toEqual({ op: "clear", ref });
    }
  });

  test("a full ring says so and loses nothing", () => {
    const ring = CommandRing.allocate(1_024);
    let pushed = 0;
    while (ring.push(send(10, pushed))) pushed++;
    expect(pushed).toBeGreaterThan(3);
    for (let i = 0; i < pushed; i++) expect(ring.pop()).toEqual(send(10, i));
    expect(ring.push(send(10))).toBe(true);
  });

  test("a command that could never fit is an error, not an endless wait", () => {
    expect(() => CommandRing.allocate(1_024).push(send(300))).toThrow("300 pages in one call do not fit");
  });

  test("another thread reads what this one writes", async () => {
    const ring = CommandRing.allocate(2_048);
    const worker = new Worker(new URL("./ring-reader.ts", import.meta.url).href);
    const answer = new Promise<number>((resolve) => {
      worker.addEventListener("message", ({ data }) => resolve(data as number));
    });
    worker.postMessage(ring.shared);
    let expected = 0;
    for (let i = 0; i < 5_000;) {
      const command = send(i % 20, i);
      if (!ring.push(command)) {
        await Bun.sleep(0);
        continue;
      }
      for (const page of (command as { pages: Int32Array }).pages) expected += page;
      i++;
    }
    expect(await answer).toBe(expected);
  });
});

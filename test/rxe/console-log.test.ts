import { expect, test } from "bun:test";
import { writeSync } from "node:fs";
import { ConsoleLog } from "./console-log.ts";

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${name} ${at}`);

test("a console's tail is its last lines, open or closed", () => {
  const log = new ConsoleLog();
  expect(log.tail(2)).toBe("");
  writeSync(log.descriptor, "one\ntwo\nthree\n");
  expect(log.tail(2)).toBe("two\nthree");
  log.close();
  expect(log.tail(9)).toBe("one\ntwo\nthree");
});

test("a console's tail begins with the panic at the latest, however long the trace behind it", () => {
  const log = new ConsoleLog();
  const panic = "Kernel panic - not syncing: sysrq triggered crash";
  const lines = [...numbered("boot", 50), panic, ...numbered("trace", 60)];
  writeSync(log.descriptor, `${lines.join("\n")}\n`);
  expect(log.tail(40).split("\n")).toEqual([panic, ...numbered("trace", 60)]);
  expect(log.tail(100).split("\n")).toEqual(lines.slice(-100));
  log.close();
});

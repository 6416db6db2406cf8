import { expect, test } from "bun:test";
import { describeTally, sum, SummaryReader } from "./tally.ts";

function tallyOf(output: string, code: number, cut = output.length): unknown {
  const reader = new SummaryReader();
  const bytes = new TextEncoder().encode(output);
  for (let at = 0; at < bytes.length; at += cut) reader.push(bytes.subarray(at, at + cut));
  return reader.tally(code);
}

const summary =
  "(pass) 9 pass in a name\n\n\x1b[32m 12 pass\x1b[0m\n \x1b[33m3 skip\x1b[0m\n 2 fail\n 40 expect() calls\nRan 17 tests.\n";

test("the counts are those of the summary, in colour or cut anywhere", () => {
  for (const cut of [1, 5, 1000]) expect(tallyOf(summary, 1, cut)).toEqual({ passed: 12, failed: 2, skipped: 3 });
});

test("a run that ended badly and counts no failure has failed once", () => {
  expect(tallyOf(" 5 pass\n 0 fail\n", 1)).toEqual({ passed: 5, failed: 1, skipped: 0 });
  expect(tallyOf("panic: Segmentation fault\n", 139)).toEqual({ passed: 0, failed: 1, skipped: 0 });
});

test("an older summary that scrolled away is not the summary", () => {
  const later = "(pass) a test\n".repeat(1000);
  expect(tallyOf(`${summary}${later} 1 pass\n 0 fail\n`, 0)).toEqual({ passed: 1, failed: 0, skipped: 0 });
});

test("tallies add up", () => {
  const total = sum([
    { passed: 1, failed: 0, skipped: 2 },
    { passed: 10, failed: 1, skipped: 0 },
  ]);
  expect(describeTally(total)).toBe("11 passed, 1 failed, 2 skipped");
});

import { expect, test } from "bun:test";
import { interleaved, median, pairedRatio, percentile, table } from "../../bench/table.ts";

test("the median is the middle value, or the mean of the two middle ones", () => {
  expect(median([5, 1, 100])).toBe(5);
  expect(median([4, 1, 100, 2])).toBe(3);
  expect(() => median([])).toThrow("came none");
});

test("a percentile is a value that was measured", () => {
  const values = Array.from({ length: 200 }, (_, i) => 200 - i);
  expect(percentile(values, 0.99)).toBe(198);
  expect(percentile(values, 0.5)).toBe(100);
  expect(percentile([7], 0)).toBe(7);
  expect(() => percentile([], 0.5)).toThrow("came none");
});

test("a paired ratio does not mind that the machine became twice as fast between two turns", () => {
  expect(pairedRatio([10, 10, 20], [10, 20, 20])).toBe(1);
  expect(pairedRatio([9, 18, 18], [10, 20, 20])).toBe(0.9);
  expect(() => pairedRatio([1], [])).toThrow("1 figures beside 0");
});

test("interleaved cases take turns", () => {
  const order: string[] = [];
  const figures = interleaved({ a: () => order.push("a"), b: () => order.push("b") }, 2);
  expect(order).toEqual(["a", "b", "a", "b"]);
  expect(figures).toEqual({ a: [1, 3], b: [2, 4] });
});

test("a table is Markdown whose columns line up, numbers to the right", () => {
  expect(
    table(
      ["case", "GB/s"],
      [
        ["4 KiB", 1.5],
        ["64 KiB", 12],
      ],
    ),
  ).toBe(["| case   | GB/s |", "| ------ | ---: |", "| 4 KiB  |  1.5 |", "| 64 KiB |   12 |"].join("\n"));
});

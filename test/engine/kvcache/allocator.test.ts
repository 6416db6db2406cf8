import { describe, expect, test } from "bun:test";
import { PageAllocator } from "../../../engine/kvcache/index.ts";
import { createRandom } from "../random.ts";

describe("PageAllocator", () => {
  test("pages handed out are distinct, in range and not in order", () => {
    const pages = new PageAllocator(64, 9).allocate(64);
    expect(new Set(pages).size).toBe(64);
    expect(Math.min(...pages)).toBe(0);
    expect(Math.max(...pages)).toBe(63);
    const neighbours = pages.filter((page, i) => i > 0 && page === pages[i - 1]! + 1).length;
    expect(neighbours).toBeLessThan(8);
  });

  test("the same seed gives the same order, another one another", () => {
    const order = (seed: number) => [...new PageAllocator(32, seed).allocate(32)];
    expect(order(4)).toEqual(order(4));
    expect(order(4)).not.toEqual(order(5));
  });

  test("asking for more than is free throws and takes nothing", () => {
    const allocator = new PageAllocator(4);
    allocator.allocate(3);
    expect(() => allocator.allocate(2)).toThrow("2 pages wanted from the KV pool, 1 free");
    expect(allocator.free).toBe(1);
  });

  test("a page is free when its last holder releases it, and never twice", () => {
    const allocator = new PageAllocator(2);
    const pages = allocator.allocate(1);
    allocator.retain(pages);
    allocator.release(pages);
    expect(allocator.used).toBe(1);
    allocator.release(pages);
    expect(allocator.used).toBe(0);
    expect(() => allocator.release(pages)).toThrow("is free");
    expect(() => allocator.retain(pages)).toThrow("is free");
  });

  test("no page has two owners through 10,000 random steps", () => {
    const random = createRandom(77);
    const allocator = new PageAllocator(50);
    const held: Int32Array[] = [];
    const owned = new Set<number>();
    for (let step = 0; step < 10_000; step++) {
      const size = Math.floor((random() + 1) * 5);
      if (random() > 0 && size <= allocator.free) {
        const pages = allocator.allocate(size);
        for (const page of pages) {
          expect(owned.has(page)).toBe(false);
          owned.add(page);
        }
        held.push(pages);
      } else if (held.length > 0) {
        const [pages] = held.splice(Math.floor(((random() + 1) / 2) * held.length), 1);
        allocator.release(pages!);
        for (const page of pages!) owned.delete(page);
      }
      expect(allocator.used).toBe(owned.size);
    }
  });
});

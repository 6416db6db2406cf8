import { afterEach, describe, expect, test } from "bun:test";
import { type Leak, onLeak, Resource, VerbsError } from "../../../ffi/verbs/index.ts";
import { resourceAt } from "../../../ffi/verbs/resource.ts";
import { thrownBy } from "./support/loopback.ts";

let nextAddress = 0x1000;
const destroyed: string[] = [];

/** A resource whose native side is a line in `destroyed`. */
class Thing extends Resource {
  constructor(name: string, parents: readonly Resource[] = [], fails = false) {
    const destroy = () => {
      if (fails) throw new VerbsError("ibv_destroy_thing", 16);
      destroyed.push(name);
    };
    super({ kind: "thing", address: nextAddress++, parents, destroy });
  }

  move(parents: readonly Resource[]): void {
    this.reparent(parents);
  }
}

afterEach(() => void destroyed.splice(0));

describe("a resource", () => {
  test("is closed after its children, the youngest first, each once", () => {
    const root = new Thing("root");
    const older = new Thing("older", [root]);
    const younger = new Thing("younger", [root]);
    const grandchild = new Thing("grandchild", [older, younger]);
    root.close();
    root.close();
    expect(destroyed).toEqual(["grandchild", "younger", "older", "root"]);
    expect([root, older, younger, grandchild].every((thing) => thing.closed)).toBe(true);
  });

  test("is closed by `using`, and forgotten by its parent", () => {
    const root = new Thing("root");
    {
      using child = new Thing("child", [root]);
      expect(child.closed).toBe(false);
    }
    root.close();
    expect(destroyed).toEqual(["child", "root"]);
  });

  test("says CLOSED when it is used after close()", () => {
    const thing = new Thing("thing");
    thing.close();
    expect(thrownBy(() => thing.unsafeAddress)).toMatchObject({ code: "CLOSED", message: "this thing is closed" });
  });

  test("stays open where the library refuses to close it, with its parent", () => {
    const root = new Thing("root");
    const stubborn = new Thing("stubborn", [root], true);
    expect(thrownBy(() => root.close())).toMatchObject({ code: "EBUSY", verb: "ibv_destroy_thing" });
    expect([root.closed, stubborn.closed]).toEqual([false, false]);
  });

  test("can change its parents", () => {
    const [first, second] = [new Thing("first"), new Thing("second")];
    const child = new Thing("child", [first]);
    child.move([second]);
    first.close();
    expect(child.closed).toBe(false);
    second.close();
    expect(destroyed).toEqual(["first", "child", "second"]);
  });

  test("is found by its address until it is closed", () => {
    const thing = new Thing("thing");
    const address = thing.unsafeAddress;
    expect(resourceAt(address)).toBe(thing);
    thing.close();
    expect(resourceAt(address)).toBeUndefined();
  });

  test("that is forgotten is reported, and still closed by its parent", async () => {
    const leaks: Leak[] = [];
    const before = onLeak((leak) => leaks.push(leak));
    const root = new Thing("root");
    const forget = (count: number) => {
      for (let index = 0; index < count; index++) expect(new Thing("forgotten", [root]).closed).toBe(false);
    };
    forget(100);
    const deadline = performance.now() + 5000;
    while (leaks.length === 0 && performance.now() < deadline) {
      Bun.gc(true);
      await new Promise(setImmediate);
    }
    onLeak(before);
    expect(leaks[0]).toEqual({ kind: "thing" });
    root.close();
    expect(destroyed.filter((name) => name === "forgotten")).toHaveLength(100);
  });
});

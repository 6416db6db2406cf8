import { describe, expect, test } from "bun:test";
import { Gid } from "../../../ffi/verbs/index.ts";

describe("a GID", () => {
  for (const [text, hex] of [
    ["::", "00000000000000000000000000000000"],
    ["::1", "00000000000000000000000000000001"],
    ["1::", "00010000000000000000000000000000"],
    ["fe80::5054:ff:fe12:3456", "fe80000000000000505400fffe123456"],
    ["1:0:0:2::3", "00010000000000020000000000000003"],
    ["1:2:3:4:5:6:0:8", "00010002000300040005000600000008"],
    ["::ffff:10.77.0.1", "00000000000000000000ffff0a4d0001"],
  ] as const) {
    test(`is written as ${text}, and read`, () => {
      expect(Gid.fromHex(hex).toString()).toBe(text);
      expect(Gid.parse(text).toHex()).toBe(hex);
    });
  }

  test("of an IPv4 address is mapped", () => {
    expect(Gid.parse("192.168.0.9").toString()).toBe("::ffff:192.168.0.9");
    expect(Gid.parse("192.168.0.9").ipv4).toBe("192.168.0.9");
    expect(Gid.parse("fe80::1").ipv4).toBeUndefined();
  });

  test("is null where its lower half is", () => {
    expect(Gid.parse("fe80::").isNull).toBe(true);
    expect(Gid.parse("::2").isNull).toBe(false);
  });

  test("cannot be changed from outside", () => {
    const bytes = new Uint8Array(16).fill(1);
    const gid = Gid.fromBytes(bytes);
    bytes.fill(2);
    gid.bytes.fill(3);
    expect(gid.toHex()).toBe("01".repeat(16));
    expect(gid.equals(Gid.fromHex("01".repeat(16)))).toBe(true);
  });

  for (const text of ["", "fe80", "1:2:3:4:5:6:7:8:9", "10.0.0.256", "g::1"]) {
    test(`is not "${text}"`, () => expect(() => Gid.parse(text)).toThrow("is no GID"));
  }

  test("has 16 bytes", () => {
    expect(() => Gid.fromBytes(new Uint8Array(15))).toThrow("16 bytes, not 15");
    expect(() => Gid.fromHex("00")).toThrow("32 hexadecimal digits");
  });
});

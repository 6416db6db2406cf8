import { expect, test } from "bun:test";
import { curveKeypair, curvePublic, hasCapability, z85Decode, z85Encode, ZmqContext } from "../../../ffi/zmq/index.ts";

/** The test vector of ZeroMQ RFC 32. */
const vector = Uint8Array.of(0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b);
const invalid = expect.objectContaining({ name: "ZmqError", code: "EINVAL" });

test("the library can CURVE, and not what nobody can", () => {
  expect([hasCapability("curve"), hasCapability("ipc"), hasCapability("telepathy")]).toEqual([true, true, false]);
});

test("Z85 of the RFC's eight bytes is HelloWorld, and back", () => {
  expect(z85Encode(vector)).toBe("HelloWorld");
  expect(z85Decode("HelloWorld")).toEqual(vector);
  expect([z85Encode(new Uint8Array(0)), z85Decode("").length]).toEqual(["", 0]);
});

test("any bytes survive Z85", () => {
  for (const length of [4, 32, 1000, 4096]) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    expect(z85Decode(z85Encode(bytes))).toEqual(bytes);
  }
});

test("what is not Z85 is refused", () => {
  for (const text of ["four", "six666", "Hello\0orld", "Hello\u20acorld", 'Hello"orld', "%%%%%"]) {
    expect(() => z85Decode(text)).toThrow(invalid);
  }
  expect(() => z85Encode(new Uint8Array(5))).toThrow("got 5");
});

test("key pairs are 40 characters, differ, and the public key follows from the secret one", () => {
  const [one, two] = [curveKeypair(), curveKeypair()];
  expect([one.publicKey.length, one.secretKey.length]).toEqual([40, 40]);
  expect(new Set([one.publicKey, one.secretKey, two.publicKey, two.secretKey]).size).toBe(4);
  expect(curvePublic(one.secretKey)).toBe(one.publicKey);
  expect(() => curvePublic("short")).toThrow(invalid);
});

test("a bad key is refused by name of the option, and is not shown", () => {
  using context = ZmqContext.create();
  const secret = "sesame".padEnd(40, '"');
  for (const serverSecretKey of ["short-secret", secret]) {
    let message = "";
    try {
      context.socket("router", { curve: { serverSecretKey } });
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain("CURVE_SECRETKEY");
    expect(message).not.toContain(serverSecretKey);
  }
});

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { LibraryNotFoundError, openLibrary } from "../../../ffi/runtime/index.ts";
import { zmqLibraryPath, zmqVersion } from "../../../ffi/zmq/index.ts";
import { symbols } from "../../../ffi/zmq/symbols.ts";

const module = JSON.stringify(join(import.meta.dir, "../../../ffi/zmq/index.ts"));

/** Runs code in a process of its own, where the library is not loaded yet. */
function inChild(code: string, env: Record<string, string>): string {
  const child = Bun.spawnSync([process.execPath, "-e", code], { env: { ...process.env, ...env } });
  return child.stdout.toString().trim() + child.stderr.toString().trim();
}

function systemLibrary(): string | undefined {
  try {
    return openLibrary({ name: "libzmq", candidates: ["libzmq.so.5"], symbols }).path;
  } catch (error) {
    if (error instanceof LibraryNotFoundError) return undefined;
    throw error;
  }
}

test.skipIf(process.env["KVWIRE_LIBZMQ"] !== undefined)("the npm package's 4.3.5 is the library of choice", () => {
  expect(zmqVersion()).toBe("4.3.5");
  expect(zmqLibraryPath()).toMatch(
    /node_modules\/zeromq\/build\/linux\/(x64|arm64)\/node\/(glibc|musl)-127-Release\/addon.node$/,
  );
});

test("KVWIRE_LIBZMQ is the only candidate where it is set, and the error says what to do", () => {
  const code = `
    import { ZmqContext } from ${module};
    try { ZmqContext.create() } catch (error) { console.log(error.code, error.message) }
  `;
  const output = inChild(code, { KVWIRE_LIBZMQ: "/nowhere/libzmq.so" });
  expect(output).toStartWith("LIBRARY_NOT_FOUND cannot load libzmq; tried\n  /nowhere/libzmq.so: ");
  expect(output).toContain("KVWIRE_LIBZMQ");
  expect(output).not.toContain("libzmq.so.5");
});

const system = systemLibrary();
describe.skipIf(system === undefined)(`with the system's library${system ? "" : " (skipped: no libzmq.so.5)"}`, () => {
  test("messages pass as well", () => {
    const code = `
      import { ZmqContext, ZmqPoller, zmqLibraryPath, zmqVersion } from ${module};
      using context = ZmqContext.create();
      const router = context.socket("router");
      router.bind("tcp://127.0.0.1:0");
      const dealer = context.socket("dealer", { routingId: "me" });
      dealer.connect(router.lastEndpoint);
      dealer.send(["", new Uint8Array(100_000)]);
      const poller = new ZmqPoller();
      poller.add(router, { readable: true });
      poller.wait(10_000);
      console.log(zmqLibraryPath(), zmqVersion(), router.receive().map((frame) => frame.length));
    `;
    expect(inChild(code, { KVWIRE_LIBZMQ: "libzmq.so.5" })).toMatch(/^libzmq.so.5 4\.3\.\d+ \[ 2, 0, 100000 \]$/);
  });
});

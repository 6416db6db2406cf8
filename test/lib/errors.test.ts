import { expect, test } from "bun:test";
import { KVTransferError } from "../../lib/index.ts";
import { decodeHeard, encodeDirect } from "../../lib/protocol/index.ts";

test("the report of a failure comes through the protocol, however long its texts are", () => {
  const peer = Array.from({ length: 64 }, (_, rank) => `prefill 0 dp0 pp0 tp${rank}`).join(", ");
  const error = new KVTransferError("NATIVE", "x".repeat(10_000), { room: 7, peer, step: "write", status: "EIO" });
  const frames = encodeDirect("failed", "prefill 0", { room: 7, tag: 65_537, error: error.toRecord() });
  const heard = decodeHeard(frames);
  expect(heard).toMatchObject({ type: "failed", header: { error: { code: "NATIVE", room: 7, status: "EIO" } } });
  expect(KVTransferError.fromRecord(error.toRecord()).peer).toStartWith("prefill 0 dp0 pp0 tp0, ");
});

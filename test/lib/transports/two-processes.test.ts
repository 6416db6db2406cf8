import { describe, expect, test } from "bun:test";
import type { InboundEnd, OutboundEnd } from "../../../lib/transports/transport.ts";
import { makePool, openTransport, transportNames } from "./support/context.ts";
import { InboundLog, OutboundLog } from "./support/pair.ts";
import { POOL_BYTES } from "./support/pool-bytes.ts";
import { PeerProcess, until } from "./support/peer-process.ts";
import { planOf } from "./support/plans.ts";
import { PollReactor } from "./support/poll-reactor.ts";

/** This process decodes; a child floods its pool. */
async function floodedBy(name: string): Promise<{
  child: PeerProcess;
  inbound: InboundEnd;
  log: InboundLog;
  bytes: Uint8Array;
  turn: () => void;
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const reactor = new PollReactor();
  const { mapping, buffer } = makePool(POOL_BYTES, { populate: true });
  const mayWrite = (tag: number): boolean => tag === 1;
  const transport = openTransport(name, { role: "decode", reactor, buffers: [buffer], mayWrite });
  const log = new InboundLog();
  const inbound = transport.openInbound("child", log);
  const turn = (): void => void reactor.turn(1);
  const child = new PeerProcess("prefill", name);
  await child.wait("started", turn);
  child.tell({ do: "open", offer: inbound.offer, peerAddress: mapping.address });
  const { endpoint } = await child.wait("connected", turn);
  inbound.accept(endpoint);
  await until(() => log.isConnected, turn);
  inbound.expect(1);
  child.tell({ do: "confirm" });
  child.tell({ do: "flood", tag: 1, value: 0xaa });
  await until(() => mapping.bytes[POOL_BYTES - 1] === 0xaa, turn);
  return {
    child,
    inbound,
    log,
    bytes: mapping.bytes,
    turn,
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      transport.close();
      mapping.close();
    },
  };
}

describe.each(transportNames)("%s between two processes", (name) => {
  test("kill -9 of the sender in mid-transfer is lost to the receiver, and then nothing can land", async () => {
    await using peers = await floodedBy(name);
    const { child, inbound, log, bytes, turn } = peers;
    child.signal("SIGKILL");
    await until(() => log.error !== undefined, turn);
    bytes.fill(0x55);
    expect(log.error).toMatchObject({ name: "KVTransferError", peer: `child (${name})`, step: "receive" });
    expect(["PEER_LOST", "NATIVE"]).toContain(log.error!.code);
    expect(inbound.unfenced).toBe(0);
    await child[Symbol.asyncDispose]();
    expect(bytes.every((byte) => byte === 0x55)).toBe(true);
  });

  test("a sender stopped in mid-transfer and woken later touches no page after the fence", async () => {
    await using peers = await floodedBy(name);
    const { child, inbound, log, bytes, turn } = peers;
    child.signal("SIGSTOP");
    const atOnce = inbound.revoke(1);
    expect(atOnce).toBe(name === "tcp");
    for (let i = 0; i < 100; i++) turn();
    expect([log.fencedTags.length, inbound.unfenced, log.error]).toEqual([0, atOnce ? 0 : 1, undefined]);
    // Over tcp the pages are another room's already; the others wait for the fence.
    if (atOnce) bytes.fill(0x55);
    child.signal("SIGCONT");
    if (!atOnce) {
      await until(() => log.fencedTags.length === 1, turn);
      bytes.fill(0x55);
    }
    expect(await child.wait("failed", turn)).toMatchObject({ tag: 1, code: "ABORTED" });
    // A chunk that becomes ready only now must not be written either.
    child.tell({ do: "flood", tag: 1, value: 0xaa });
    await child.wait("failed", turn);
    child.tell({ do: "sync" });
    await child.wait("synced", turn);
    expect(bytes.every((byte) => byte === 0x55)).toBe(true);
    expect([inbound.unfenced, log.error]).toEqual([0, undefined]);
  });

  test("a sender killed while it is stopped fences by its death", async () => {
    await using peers = await floodedBy(name);
    const { child, inbound, log, turn } = peers;
    child.signal("SIGSTOP");
    inbound.revoke(1);
    for (let i = 0; i < 20; i++) turn();
    expect(inbound.unfenced).toBe(name === "tcp" ? 0 : 1);
    child.signal("SIGKILL");
    await until(() => log.error !== undefined, turn);
    expect(inbound.unfenced).toBe(0);
  });

  test("kill -9 of the receiver in mid-transfer fails the batches, then the pair, with a typed error", async () => {
    const reactor = new PollReactor();
    const { mapping } = makePool(POOL_BYTES, { shared: false, populate: true });
    const transport = openTransport(name, { role: "prefill", reactor });
    const log = new OutboundLog();
    await using child = new PeerProcess("decode", name);
    child.tell({ do: "open" });
    const { offer, address } = await child.wait("opened");
    const outbound: OutboundEnd = transport.openOutbound("child", offer, log);
    const turn = (): void => {
      const busy = outbound.step(performance.now() + 1);
      reactor.turn(busy ? 0 : 1);
    };
    await until(() => log.isConnected, turn);
    child.tell({ do: "expect", tag: 1 });
    child.tell({ do: "accept", endpoint: outbound.endpoint });
    await child.wait("connected", turn);
    outbound.confirm();
    const destination = outbound.destinationBases?.[0] ?? (address as number);
    const plan = planOf([{ source: mapping.address, destination, byteLength: POOL_BYTES }]);
    for (let i = 0; i < 4; i++) outbound.write({ tag: 1, plan });
    await until(() => log.writtenBatches.length === 1, turn);
    child.signal("SIGKILL");
    await until(() => log.error !== undefined, turn);
    expect(log.error).toMatchObject({ name: "KVTransferError", peer: `child (${name})` });
    expect(["PEER_LOST", "NATIVE"]).toContain(log.error!.code);
    expect(log.failures.length + log.writtenBatches.length).toBe(4);
    expect(log.failures.every(({ error }) => error === log.error)).toBe(true);
    transport.close();
    mapping.close();
  });
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)(
  `users and rights (${isRoot ? "as root" : "skipped: needs root to become another user"})`,
  () => {
    test.each(["shm", "cma"])("%s is refused between processes of different users", async (name) => {
      const reactor = new PollReactor();
      const { mapping, buffer } = makePool(4096);
      const transport = openTransport(name, { role: "decode", reactor, buffers: [buffer] });
      const log = new InboundLog();
      const inbound = transport.openInbound("child", log);
      await using child = new PeerProcess("prefill", name, "drop");
      await child.wait("started");
      child.tell({ do: "open", offer: inbound.offer, peerAddress: mapping.address });
      const refused = await child.wait("refused", () => reactor.turn(1));
      expect(refused).toMatchObject({ code: "NO_TRANSPORT", event: "refused" });
      expect(inbound.unfenced).toBe(0);
      transport.close();
      mapping.close();
    });

    test("cma says EPERM where the kernel lets nobody write, so that another transport can be taken", async () => {
      // A process that has changed its user is not dumpable, and then only CAP_SYS_PTRACE may write into it.
      await using decode = new PeerProcess("decode", "cma", "drop");
      await using prefill = new PeerProcess("prefill", "cma", "drop");
      decode.tell({ do: "open" });
      const { offer, address } = await decode.wait("opened");
      prefill.tell({ do: "open", offer, peerAddress: address as number });
      expect(await prefill.wait("lost")).toMatchObject({ code: "NO_TRANSPORT", status: "EPERM" });
      expect(await decode.wait("lost")).toMatchObject({ code: "PEER_LOST", unfenced: 0 });
    });
  },
);

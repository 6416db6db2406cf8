import { expect, test } from "bun:test";
import { join } from "node:path";
import { connect, Device, Gid } from "../../../ffi/verbs/index.ts";
import { describeRdma } from "../../rxe/describe.ts";
import { Side } from "./support/loopback.ts";

const python = "/usr/bin/python3";
const TIME_LIMIT_MS = 60_000;
const hasPyverbs = Bun.spawnSync([python, "-c", "import pyverbs.qp"]).exitCode === 0;

interface Answer {
  gid: string;
  queuePair: number;
  packetSequence: number;
  address: string;
  rkey: number;
  memory: string;
  status: number;
  old: string;
}

/** The Python program, asked and answered line by line. */
class PyverbsPeer implements AsyncDisposable {
  readonly #process;
  readonly #lines;

  constructor(device: string, gidIndex: number) {
    const program = join(import.meta.dir, "support/pyverbs-peer.py");
    this.#process = Bun.spawn([python, program, device, String(gidIndex)], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#lines = lines(this.#process.stdout);
  }

  async hear(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error("the Python program ended");
    return JSON.parse(value) as Answer;
  }

  ask(question: object): Promise<Answer> {
    this.#process.stdin.write(`${JSON.stringify(question)}\n`);
    void this.#process.stdin.flush();
    return this.hear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.exited;
  }
}

async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = parts.pop()!;
    yield* parts;
  }
}

describeRdma("with a pyverbs program", () => {
  test.skipIf(!hasPyverbs)(
    `writes, reads and atomics work in both directions${hasPyverbs ? "" : " (skipped: no python3-pyverbs)"}`,
    async () => {
      using context = Device.find().open();
      const side = new Side(context, { byteLength: 4096 });
      await using peer = new PyverbsPeer(context.device.name, side.gid.index);
      const remote = await peer.hear();
      const address = Number(remote.address);
      connect(side.queuePair, {
        remote: { ...remote, gid: Gid.parse(remote.gid) },
        packetSequence: 0x77,
        sourceGidIndex: side.gid.index,
      });
      await peer.ask({
        gid: side.gid.gid.toLongString(),
        queuePair: side.queuePair.number,
        packetSequence: 0x77,
        address: String(side.memory.address),
        rkey: side.region.rkey,
      });
      const number = new DataView(side.memory.buffer);

      // Ours to theirs.
      side.memory.bytes.set([1, 2, 3, 4, 250, 251, 252, 253]);
      side.queuePair.postSend(side.sendList(8).write(1, address, remote.rkey));
      expect(side.takeOne()).toMatchObject({ status: "SUCCESS", opcode: "RDMA_WRITE" });
      expect((await peer.ask({ step: "memory", byteLength: 8 })).memory).toBe("01020304fafbfcfd");
      side.fill(0);
      side.queuePair.postSend(side.sendList(8).read(2, address, remote.rkey));
      expect(side.takeOne().status).toBe("SUCCESS");
      expect(side.memory.bytes.subarray(0, 8).toHex()).toBe("01020304fafbfcfd");
      const before = number.getBigUint64(0, true);
      side.queuePair.postSend(side.sendList(8).compareSwap(3, address, remote.rkey, before, 1000n));
      expect(side.takeOne().status).toBe("SUCCESS");
      expect(number.getBigUint64(0, true)).toBe(before);
      side.queuePair.postSend(side.sendList(8).fetchAdd(4, address, remote.rkey, 24n));
      expect(side.takeOne().status).toBe("SUCCESS");
      expect(number.getBigUint64(0, true)).toBe(1000n);
      expect((await peer.ask({ step: "memory", byteLength: 8 })).memory).toBe("0004000000000000");

      // Theirs to ours.
      expect((await peer.ask({ step: "write", data: "c0ffee0000000001" })).status).toBe(0);
      expect(side.memory.bytes.subarray(0, 8).toHex()).toBe("c0ffee0000000001");
      side.memory.bytes.set([9, 8, 7, 6]);
      expect(await peer.ask({ step: "read", byteLength: 4 })).toEqual({ status: 0, memory: "09080706" } as never);
      number.setBigUint64(0, 77n, true);
      const swapped = await peer.ask({ step: "compareSwap", compare: "77", swap: "78" });
      expect(swapped).toEqual({ status: 0, old: "77" } as never);
      expect(number.getBigUint64(0, true)).toBe(78n);
      expect(await peer.ask({ step: "fetchAdd", add: "2" })).toEqual({ status: 0, old: "78" } as never);
      expect(number.getBigUint64(0, true)).toBe(80n);
    },
    TIME_LIMIT_MS,
  );
});

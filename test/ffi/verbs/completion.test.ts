import { describe, expect, test } from "bun:test";
import { heapStats } from "bun:jsc";
import { unsafeViewAt } from "../../../ffi/runtime/index.ts";
import { CompletionBatch, CompletionError, SendFlag, SendList } from "../../../ffi/verbs/index.ts";
import { structs } from "../../../ffi/verbs/abi/index.ts";
import { thrownBy } from "./support/loopback.ts";

const { workCompletion } = structs;

/** Writes what a device would, by C's names. */
function report(
  batch: CompletionBatch,
  index: number,
  values: Partial<Record<keyof typeof workCompletion.fields, bigint>>,
) {
  const view = new DataView(unsafeViewAt(batch.unsafeAddress + index * workCompletion.size, workCompletion.size));
  for (const [name, value] of Object.entries(values)) {
    const { offset, size } = workCompletion.fields[name as keyof typeof workCompletion.fields];
    if (size === 8) view.setBigUint64(offset, value, true);
    else view.setUint32(offset, Number(value), true);
  }
}

describe("a batch of completions", () => {
  test("reads each of them in place, and copies it by name", () => {
    const batch = new CompletionBatch(4);
    report(batch, 2, {
      wr_id: 2n ** 53n - 5n,
      opcode: 129n,
      byte_len: 4096n,
      imm_data: 0x0403_0201n,
      qp_num: 17n,
      src_qp: 18n,
      wc_flags: 3n,
    });
    expect(batch.workRequestId(2)).toBe(2 ** 53 - 5);
    expect(batch.immediate(2)).toBe(0x0102_0304);
    expect(batch.at(2)).toEqual({
      workRequestId: 2 ** 53 - 5,
      status: "SUCCESS",
      queuePairNumber: 17,
      vendorError: 0,
      opcode: "RECV_RDMA_WITH_IMM",
      byteLength: 4096,
      immediate: 0x0102_0304,
      sourceQueuePair: 18,
      hasRouteHeader: true,
    });
    expect(() => batch.requireSuccess(2)).not.toThrow();
  });

  test("tells the key that was invalidated as it is", () => {
    const batch = new CompletionBatch(1);
    report(batch, 0, { opcode: 128n, imm_data: 0x0403_0201n, wc_flags: 8n });
    expect(batch.at(0)).toMatchObject({ opcode: "RECV", invalidatedKey: 0x0403_0201 });
  });

  test("tells of a failure only what is known then", () => {
    const batch = new CompletionBatch(1);
    report(batch, 0, { wr_id: 3n, status: 12n, opcode: 99n, byte_len: 5n, vendor_err: 129n, qp_num: 17n });
    expect(batch.at(0)).toEqual({
      workRequestId: 3,
      status: "RETRY_EXC_ERR",
      queuePairNumber: 17,
      vendorError: 129,
    });
    const error = thrownBy(() => batch.requireSuccess(0));
    expect(error).toBeInstanceOf(CompletionError);
    expect(error.message).toBe("work request 3 on queue pair 17: RETRY_EXC_ERR, vendor error 129");
  });

  test("names a status that it does not know by its number", () => {
    const batch = new CompletionBatch(1);
    report(batch, 0, { status: 77n });
    expect(batch.at(0).status).toBe("77");
  });
});

describe("the hot path", () => {
  test("allocates nothing: building, posting and reading leave no objects behind", () => {
    const list = new SendList({ requests: 64 });
    const batch = new CompletionBatch();
    const post = () => 0;
    let sum = 0;
    const turn = () => {
      list.clear();
      for (let index = 0; index < 64; index++) {
        list.entry(0x7f00_1234_5000 + index * 4096, 4096, 7);
        list.write(index, 0x7f00_9876_5000 + index * 4096, 8, index === 63 ? SendFlag.SIGNALED : 0);
      }
      list.unsafePost(post, 1, "stub");
      for (let index = 0; index < 64; index++) {
        batch.requireSuccess(index);
        sum += batch.workRequestId(index) + batch.byteLength(index) + batch.immediate(index) + batch.opcode(index);
      }
    };
    for (let round = 0; round < 2000; round++) turn();
    Bun.gc(true);
    const before = heapStats().objectCount;
    for (let round = 0; round < 2000; round++) turn();
    // 128,000 requests and completions; one object for each would be seen.
    expect(heapStats().objectCount - before).toBeLessThan(2000);
    expect(sum).toBe(0);
  });
});

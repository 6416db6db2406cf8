import { describe, expect, test } from "bun:test";
import type { QueuePairAttributes } from "../../../ffi/verbs/index.ts";
import { QueuePairAttribute } from "../../../ffi/verbs/abi/index.ts";
import { decodeAttributes, encodeAttributes } from "../../../ffi/verbs/queue-pair-attributes.ts";
import { requireTransition } from "../../../ffi/verbs/queue-pair-state.ts";
import { thrownBy } from "./support/loopback.ts";

const init = { state: "INIT", partitionKeyIndex: 0, port: 1, access: 0 } as const;
const receive = {
  state: "RTR",
  address: { port: 1 },
  pathMtu: 1024,
  remoteQueuePair: 5,
  receivePacketSequence: 6,
  maxDestinationReadAtomic: 1,
  minReceiverNotReadyTimer: 12,
} as const;
const send = {
  state: "RTS",
  timeout: 14,
  retryCount: 7,
  receiverNotReadyRetry: 7,
  sendPacketSequence: 0,
  maxReadAtomic: 1,
} as const;

const message = (...args: Parameters<typeof requireTransition>) => thrownBy(() => requireTransition(...args)).message;

describe("a queue pair's transitions", () => {
  test("RC: the three steps to RTS have the masks that ibv_modify_qp wants", () => {
    expect(requireTransition("RC", "RESET", init)).toBe("INIT");
    expect(requireTransition("RC", "INIT", receive)).toBe("RTR");
    expect(requireTransition("RC", "RTR", send)).toBe("RTS");
    expect([init, receive, send].map((change) => encodeAttributes(change).mask)).toEqual([57, 0x12_9181, 0x1_2e01]);
  });

  test("UC and UD need less", () => {
    const { maxDestinationReadAtomic, minReceiverNotReadyTimer, ...unreliable } = receive;
    expect(requireTransition("UC", "INIT", unreliable)).toBe("RTR");
    expect(requireTransition("UC", "RTR", { state: "RTS", sendPacketSequence: 0 })).toBe("RTS");
    expect(requireTransition("UD", "RESET", { state: "INIT", partitionKeyIndex: 0, port: 1, queueKey: 1 })).toBe(
      "INIT",
    );
    expect(requireTransition("UD", "INIT", { state: "RTR" })).toBe("RTR");
    expect(message("UC", "INIT", receive)).toContain(
      "not allowed here maxDestinationReadAtomic, minReceiverNotReadyTimer",
    );
    expect([maxDestinationReadAtomic, minReceiverNotReadyTimer]).toEqual([1, 12]);
  });

  test("name every missing and every extra attribute", () => {
    expect(message("RC", "INIT", { state: "RTR", pathMtu: 1024, queueKey: 3 })).toBe(
      "RC queue pair INIT → RTR: missing address, remoteQueuePair, receivePacketSequence, maxDestinationReadAtomic, " +
        "minReceiverNotReadyTimer; not allowed here queueKey",
    );
  });

  test("that do not exist say which do", () => {
    expect(message("RC", "RESET", { state: "RTS" })).toBe(
      "RC queue pair RESET → RTS is not possible; from RESET it can go to INIT, RESET, ERR",
    );
  });

  test("to RESET and ERR are possible from everywhere, with nothing else", () => {
    for (const state of ["RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR"] as const) {
      expect(requireTransition("RC", state, { state: "ERR" })).toBe("ERR");
      expect(requireTransition("UD", state, { state: "RESET" })).toBe("RESET");
    }
    expect(message("RC", "RTS", { state: "ERR", timeout: 3 })).toContain("not allowed here timeout");
  });

  test("within RTS change what may change there", () => {
    expect(requireTransition("RC", "RTS", { access: 1, minReceiverNotReadyTimer: 3 })).toBe("RTS");
    expect(message("RC", "RTS", { pathMtu: 512 })).toContain("not allowed here pathMtu");
  });

  test("start from the state that the caller claims", () => {
    expect(requireTransition("UD", "RTS", { state: "RTS", currentState: "SQE" })).toBe("RTS");
  });
});

describe("attributes", () => {
  for (const [change, what] of [
    [{ receivePacketSequence: 0x100_0000 }, "rq_psn must be an integer from 0 to 16777215"],
    [{ pathMtu: 1000 }, "pathMtu must be one of 256, 512, 1024, 2048, 4096, not 1000"],
    [{ port: 256 }, "port_num must be an integer"],
    [{ timeout: 1.5 }, "timeout must be an integer"],
    [{ state: "READY" }, 'qp_state: "READY" is unknown'],
    [{ colour: 1 }, '"colour" is no queue pair attribute'],
  ] as [object, string][]) {
    test(`that are out of range are refused: ${JSON.stringify(change)}`, () => {
      expect(() => encodeAttributes(change as Partial<QueuePairAttributes>)).toThrow(what);
    });
  }

  test("of an alternate path stand in their own members", () => {
    const alternatePath = { address: { port: 2, lid: 7 }, partitionKeyIndex: 3, port: 2, timeout: 9 };
    const { encoded, mask } = encodeAttributes({ alternatePath });
    expect(mask).toBe(QueuePairAttribute.ALT_PATH);
    expect(encoded.get("alt_timeout")).toBe(9);
    expect(decodeAttributes(encoded).alternatePath).toMatchObject({ ...alternatePath, address: { port: 2, lid: 7 } });
    expect(encoded.bytes("ah_attr").every((byte) => byte === 0)).toBe(true);
  });

  test("that are undefined are left out", () => {
    expect(encodeAttributes({ state: "ERR", port: undefined as never }).mask).toBe(QueuePairAttribute.STATE);
  });
});

import { expect, test } from "bun:test";
import { type Reference, readReferences } from "../engine/references.ts";
import { until } from "../lib/process/peer.ts";
import { EngineProcess } from "./support/engine-process.ts";
import { inMidTransfer, LONG_PROMPT } from "./support/mid-transfer.ts";
import { lastAnswer, postBoth } from "./support/requests.ts";

const LEASE_MS = 3_000;
/** Takes most of decode's pool: the next one of its size needs the pages of the one that failed. */
const POOL_TOKENS = 1_024;
const LARGE = { input_ids: LONG_PROMPT.slice(0, 800), sampling_params: { temperature: 0, max_new_tokens: 32 } };

/** The library's own tests try all of them each time; here, `bun run test:matrix` does. */
const transports = process.env["KVWIRE_TEST_MATRIX"] ? ["shm", "cma", "tcp"] : ["shm"];

test.each(transports)(
  "a prefill that is stopped in mid-transfer for two leases and goes on spoils no other room, over %s",
  async (transport) => {
    const line = `--disaggregation-transfer-backend ${transport} --disaggregation-lease ${LEASE_MS / 1000}`;
    const prefillOptions = [...line.split(" "), "--chunked-prefill-size", "16"];
    const decodeOptions = [...line.split(" "), "--max-total-tokens", `${POOL_TOKENS}`];
    const engines = await Promise.all([
      EngineProcess.start({ mode: "prefill", options: prefillOptions }),
      EngineProcess.start({ mode: "prefill", options: prefillOptions }),
      EngineProcess.start({ mode: "decode", options: decodeOptions }),
    ]);
    await using stopped = engines[0];
    await using other = engines[1];
    await using decode = engines[2];
    // Small enough for what is left of the pool.
    const references = (await readReferences("kjv-llama-4m")).filter((each) => each.input_ids.length < 32);

    async function tokens(prefill: EngineProcess, body: object): Promise<readonly number[]> {
      const both = postBoth(prefill, decode, { ...body });
      const [, answer] = await Promise.all([both.prefill, both.decode.then((response) => lastAnswer(response, false))]);
      return answer.output_ids;
    }
    const expectReference = async (prefill: EngineProcess, { prompt, greedy_ids }: Reference): Promise<void> => {
      const sampling = { temperature: 0, max_new_tokens: 16 };
      expect(await tokens(prefill, { text: prompt, sampling_params: sampling })).toEqual(greedy_ids.slice(0, 16));
    };

    const expected = await tokens(other, LARGE);
    const doomed = postBoth(stopped, decode, LARGE);
    await inMidTransfer(stopped, decode);
    stopped.signal("SIGSTOP");
    const stoppedAt = performance.now();
    const failed = await doomed.decode;
    expect(failed.status).toBe(500);
    expect(await failed.text()).toMatch(/peer prefill.*PEER_LOST/);

    for (let i = 0; performance.now() < stoppedAt + 2 * LEASE_MS; i++) {
      await expectReference(other, references[i % references.length]!);
    }
    // Nobody overtakes it where the pages come back only when the stopped one is heard of.
    const wanting = tokens(other, LARGE);
    await until(
      "decode to have it",
      () => decode.gauge("live_requests"),
      (live) => live === 1,
    );
    stopped.signal("SIGCONT");
    expect((await doomed.prefill).status).toBe(500);
    expect(await wanting).toEqual(expected);
    await expectReference(stopped, references[0]!);
    expect(await tokens(other, LARGE)).toEqual(expected);
    await until(
      "all to be at rest",
      () => Promise.all(engines.map((engine) => engine.holdings())),
      (all) => all.every((held) => Object.values(held).every((count) => count === 0)),
    );
  },
  120_000,
);

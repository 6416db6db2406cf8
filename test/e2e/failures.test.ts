import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { EngineProcess } from "./support/engine-process.ts";
import { inMidTransfer, LONG_PROMPT } from "./support/mid-transfer.ts";
import { type Both, lastAnswer, postBoth } from "./support/requests.ts";

const LEASE_MS = 5_000;
/** From the kill of one half until a request that went to it and to its successor is answered. */
const SERVED_AGAIN_MS = 2_000;

const LONG = { input_ids: LONG_PROMPT, sampling_params: { max_new_tokens: 8 } };
const MEDIUM = { input_ids: LONG_PROMPT.slice(0, 320), sampling_params: { max_new_tokens: 8 } };
const SHORT = { text: "In the beginning", sampling_params: { temperature: 0, max_new_tokens: 4 } };

interface Failure {
  readonly code: number;
  readonly message: string;
}

async function readFailure(response: Promise<Response>): Promise<Failure> {
  return (await (await response).json()) as Failure;
}

async function expectAnswer({ prefill, decode }: Both): Promise<void> {
  const [, answer] = await Promise.all([prefill, decode].map(async (each) => lastAnswer(await each, false)));
  expect(answer!.output_ids.length).toBeGreaterThan(1);
}

describe.each(["shm", "cma", "tcp"])("over %s", (transport) => {
  let prefill: EngineProcess;
  let otherPrefill: EngineProcess;
  let decode: EngineProcess;
  let otherDecode: EngineProcess;

  beforeAll(async () => {
    const line = `--disaggregation-transfer-backend ${transport} --max-total-tokens 8192 --chunked-prefill-size 16`;
    const options = line.split(" ");
    [prefill, otherPrefill, decode, otherDecode] = await Promise.all([
      EngineProcess.start({ mode: "prefill", options }),
      EngineProcess.start({ mode: "prefill", options }),
      EngineProcess.start({ mode: "decode", options }),
      EngineProcess.start({ mode: "decode", options }),
    ]);
  }, 60_000);

  afterAll(async () => {
    const servers = [prefill, otherPrefill, decode, otherDecode];
    await Promise.all(servers.map((server) => server?.[Symbol.asyncDispose]()));
  });

  test("kill -9 of prefill in mid-transfer fails its rooms by name; others go on; restarted, it serves", async () => {
    const doomed = postBoth(prefill, decode, LONG);
    await inMidTransfer(prefill, decode);
    const elsewhere = postBoth(otherPrefill, decode, MEDIUM);
    const killedAt = performance.now();
    await prefill.kill();
    const failure = await readFailure(doomed.decode);
    expect(performance.now() - killedAt).toBeLessThan(LEASE_MS);
    expect(failure.code).toBe(500);
    expect(failure.message).toMatch(/room \d+, peer prefill .*PEER_LOST/);
    await expectAnswer(elsewhere);
    await decode.atRest();

    const { pid } = decode;
    await prefill.restart();
    const readyAt = performance.now();
    await expectAnswer(postBoth(prefill, decode, SHORT));
    expect(performance.now() - readyAt).toBeLessThan(SERVED_AGAIN_MS);
    expect(decode.pid).toBe(pid);
    await Promise.all([prefill.atRest(), decode.atRest()]);
  }, 60_000);

  test("kill -9 of decode in mid-transfer fails its rooms by name; others go on; restarted, it serves", async () => {
    const doomed = postBoth(prefill, decode, LONG);
    await inMidTransfer(prefill, decode);
    const elsewhere = postBoth(prefill, otherDecode, MEDIUM);
    const killedAt = performance.now();
    await decode.kill();
    const failure = await readFailure(doomed.prefill);
    expect(performance.now() - killedAt).toBeLessThan(LEASE_MS);
    expect(failure.code).toBe(500);
    expect(failure.message).toMatch(/room \d+, peer decode .*PEER_LOST/);
    await expectAnswer(elsewhere);
    await prefill.atRest();

    const { pid } = prefill;
    await decode.restart();
    const readyAt = performance.now();
    await expectAnswer(postBoth(prefill, decode, SHORT));
    expect(performance.now() - readyAt).toBeLessThan(SERVED_AGAIN_MS);
    expect(prefill.pid).toBe(pid);
    await Promise.all([prefill.atRest(), decode.atRest()]);
  }, 60_000);
});

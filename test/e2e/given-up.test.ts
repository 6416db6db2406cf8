import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { until } from "../lib/process/peer.ts";
import { BalancerProcess } from "./support/balancer-process.ts";
import { EngineProcess } from "./support/engine-process.ts";
import { inMidTransfer, LONG_PROMPT } from "./support/mid-transfer.ts";
import { lastAnswer, meeting, post, postBoth } from "./support/requests.ts";

const LONG = { input_ids: LONG_PROMPT, sampling_params: { max_new_tokens: 8 } };
const TALKATIVE = { text: "In the beginning", sampling_params: { max_new_tokens: 1_900, ignore_eos: true } };
const DEADLINE = { timeout: 30_000 };

const halves = ["prefill", "decode"] as const;
type Half = (typeof halves)[number];
const otherHalf = (half: Half): Half => (half === "prefill" ? "decode" : "prefill");

/** A request that its client gives up when told to; whatever comes of it is nobody's concern. */
function given<Result>(send: (signal: AbortSignal) => Result): { sent: Result; giveUp: () => void } {
  const controller = new AbortController();
  return { sent: send(controller.signal), giveUp: () => controller.abort() };
}

describe.each(["shm", "tcp"])("over %s", (transport) => {
  let engines: Record<Half, EngineProcess>;
  let balancer: BalancerProcess;

  beforeAll(async () => {
    const line = `--disaggregation-transfer-backend ${transport} --max-total-tokens 8192 --chunked-prefill-size 16`;
    const start = (mode: Half): Promise<EngineProcess> => EngineProcess.start({ mode, options: line.split(" ") });
    const [prefill, decode] = await Promise.all(halves.map(start));
    engines = { prefill: prefill!, decode: decode! };
    balancer = await BalancerProcess.start([engines.prefill], [engines.decode]);
  }, 60_000);

  afterAll(async () => {
    await Promise.all([balancer, ...Object.values(engines ?? {})].map((server) => server?.[Symbol.asyncDispose]()));
  });

  /** Runs `job`: afterwards neither half may hold anything, and only so many requests have come to their natural end. */
  async function leavesNothing(job: () => Promise<void>, natural: Partial<Record<Half, number>> = {}): Promise<void> {
    const count = (): Promise<number[]> => Promise.all(halves.map((half) => engines[half].completed()));
    const before = await count();
    await job();
    await Promise.all(halves.map((half) => engines[half].atRest()));
    const after = await count();
    expect(after.map((ended, i) => ended - before[i]!)).toEqual(halves.map((half) => natural[half] ?? 0));
  }

  describe("a client that goes away", () => {
    test.each(halves)(
      "while %s waits for the other half, frees it",
      (half) =>
        leavesNothing(async () => {
          const body = { ...LONG, ...meeting(engines.prefill) };
          const { sent, giveUp } = given((signal) => post(engines[half].url, body, { signal }));
          sent.catch(() => undefined);
          await until(
            "the request to be taken",
            () => engines[half].gauge("live_requests"),
            (live) => live === 1,
          );
          giveUp();
        }),
      DEADLINE,
    );

    test.each([true, false])(
      "while the cache is on its way, frees both halves through the load balancer (streamed %p)",
      (stream) =>
        leavesNothing(async () => {
          const { sent, giveUp } = given((signal) => post(balancer.url, { ...LONG, stream }, { signal }));
          sent.catch(() => undefined);
          await inMidTransfer(engines.prefill, engines.decode);
          giveUp();
        }),
      DEADLINE,
    );

    test.each([true, false])(
      "while decode generates, frees it through the load balancer (streamed %p)",
      (stream) =>
        leavesNothing(
          async () => {
            const { sent, giveUp } = given((signal) => post(balancer.url, { ...TALKATIVE, stream }, { signal }));
            sent.catch(() => undefined);
            await until(
              "decode to run",
              () => engines.decode.gauge("running_requests"),
              (running) => running === 1,
            );
            giveUp();
          },
          { prefill: 1 },
        ),
      DEADLINE,
    );

    test.each(halves)(
      "of %s alone, while the cache is on its way, fails the other half with that cause",
      (half) =>
        leavesNothing(async () => {
          const body = { ...LONG, ...meeting(engines.prefill) };
          const other = post(engines[otherHalf(half)].url, body);
          const { sent, giveUp } = given((signal) => post(engines[half].url, body, { signal }));
          sent.catch(() => undefined);
          await inMidTransfer(engines.prefill, engines.decode);
          giveUp();
          const failed = await other;
          expect(failed.status).toBe(500);
          expect(await failed.text()).toMatch(new RegExp(`peer ${half}.*the client has disconnected`));
        }),
      DEADLINE,
    );
  });

  describe("/abort_request", () => {
    async function abort(half: Half, rid: string): Promise<void> {
      const response = await fetch(`${engines[half].url}/abort_request`, {
        method: "POST",
        body: JSON.stringify({ rid }),
      });
      expect(response.status).toBe(200);
    }

    test.each(halves)(
      "to %s while the cache is on its way ends the request there and fails it at the other half",
      (half) =>
        leavesNothing(async () => {
          const rid = `aborted-at-${half}`;
          const both = postBoth(engines.prefill, engines.decode, { ...LONG, rid });
          await inMidTransfer(engines.prefill, engines.decode);
          await abort(half, rid);
          const { meta_info } = await lastAnswer(await both[half], false);
          expect(meta_info.finish_reason).toMatchObject({ type: "abort" });
          const failed = await both[otherHalf(half)];
          expect(failed.status).toBe(500);
          expect(await failed.text()).toMatch(new RegExp(`peer ${half}.*Aborted by /abort_request`));
        }),
      DEADLINE,
    );

    test(
      "to decode while it generates ends the request with what there is",
      () =>
        leavesNothing(
          async () => {
            const rid = "aborted-in-mid-sentence";
            const both = postBoth(engines.prefill, engines.decode, { ...TALKATIVE, rid });
            await until(
              "decode to run",
              () => engines.decode.gauge("running_requests"),
              (running) => running === 1,
            );
            await abort("decode", rid);
            const answer = await lastAnswer(await both.decode, false);
            expect(answer.meta_info.finish_reason).toMatchObject({ type: "abort" });
            expect(answer.output_ids.length).toBeGreaterThan(0);
          },
          { prefill: 1 },
        ),
      DEADLINE,
    );
  });
});

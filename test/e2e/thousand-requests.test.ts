import { expect, test } from "bun:test";
import { readReferences } from "../engine/references.ts";
import { until } from "../lib/process/peer.ts";
import { BalancerProcess } from "./support/balancer-process.ts";
import { EngineProcess } from "./support/engine-process.ts";
import { resourcesOf, type Resources } from "./support/process-resources.ts";
import { lastAnswer, post } from "./support/requests.ts";

const REQUESTS = 1_000;
const AT_ONCE = 32;
const TOKENS = 3;
/** What is tried is the way of a request, not the arithmetic. */
const SHORT = 20;
/** Health probes come and go with connections of their own. */
const QUIET = ["--health-check-interval-secs", "0"];
/** Idle connections between the load balancer and the engines are closed within seconds. */
const CALM_MS = 30_000;
const LOOK_EVERY_MS = 100;

const servers = ["prefill", "decode", "balancer"] as const;
type Server = (typeof servers)[number];

test("1,000 requests, 32 at a time, are all answered right and leave nothing behind", async () => {
  const references = (await readReferences("kjv-llama-4m")).filter((each) => each.input_ids.length <= SHORT);
  const options = ["--max-total-tokens", "8192"];
  await using prefill = await EngineProcess.start({ mode: "prefill", options });
  await using decode = await EngineProcess.start({ mode: "decode", options });
  await using balancer = await BalancerProcess.start([prefill], [decode], QUIET);

  async function send(count: number): Promise<void> {
    let next = 0;
    const client = async (): Promise<void> => {
      for (let i = next++; i < count; i = next++) {
        const { prompt, greedy_ids: expected } = references[i % references.length]!;
        const stream = i % 2 === 0;
        const body = { text: prompt, sampling_params: { temperature: 0, max_new_tokens: TOKENS }, stream };
        const answer = await lastAnswer(await post(balancer.url, body), stream);
        expect(answer.output_ids).toEqual(expected.slice(0, TOKENS));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
  }

  async function resources(): Promise<Record<Server, Resources>> {
    // A look takes the processor from those who are looked at.
    await Bun.sleep(LOOK_EVERY_MS);
    return { prefill: resourcesOf(prefill.pid), decode: resourcesOf(decode.pid), balancer: resourcesOf(balancer.pid) };
  }

  // Pairs connect and thread pools grow once.
  await send(2 * AT_ONCE);
  const before = await until(
    "the connections of the first requests to be closed",
    resources,
    ({ balancer: { connections } }) => connections === 0,
    CALM_MS,
  );
  const pairs = await Promise.all([prefill.gauge("pairs"), decode.gauge("pairs")]);
  expect(pairs).toEqual([1, 1]);

  await send(REQUESTS);
  await Promise.all([prefill.atRest(), decode.atRest()]);
  const noMore = (seen: Record<Server, Resources>): boolean =>
    servers.every(
      (server) =>
        seen[server].descriptors <= before[server].descriptors &&
        seen[server].connections <= before[server].connections,
    );
  await until(`no more than before, which was ${JSON.stringify(before)}`, resources, noMore, CALM_MS);
  expect(await Promise.all([prefill.gauge("pairs"), decode.gauge("pairs")])).toEqual(pairs);
}, 180_000);

import { expect } from "bun:test";
import { join } from "node:path";
import { z } from "zod";
import { type ModelName, modelsDirectory, readReferences } from "../references.ts";

const main = join(import.meta.dir, "../../../engine/main.ts");
const readySchema = z.object({ event: z.literal("ready"), url: z.string() });
const infoSchema = z.looseObject({ disaggregation_bootstrap_port: z.number() });
const answerSchema = z.looseObject({ output_ids: z.array(z.number()), text: z.string() });

interface Server extends AsyncDisposable {
  readonly url: string;
  generate(body: object): Promise<z.infer<typeof answerSchema>>;
}

async function serve(
  model: ModelName,
  mode: "prefill" | "decode",
  gpu: number,
  environment: Readonly<Record<string, string>>,
): Promise<Server> {
  const args = ["--model-path", join(modelsDirectory, model), "--port", "0", "--max-total-tokens", "2048"];
  const port = ["--disaggregation-bootstrap-port", "0", "--disaggregation-transfer-backend", "cuda-ipc"];
  const half = ["--disaggregation-mode", mode, ...port];
  const pool = ["--kv-device", "cuda", "--base-gpu-id", String(gpu), "--log-level", "warn"];
  const child = Bun.spawn([process.execPath, main, ...args, ...half, ...pool], {
    env: { ...process.env, ...environment },
    stdout: "pipe",
    stderr: "inherit",
  });
  const { value } = await child.stdout.getReader().read();
  const { url } = readySchema.parse(JSON.parse(new TextDecoder().decode(value)));
  return {
    url,
    generate: async (body) => {
      const response = await fetch(`${url}/generate`, { method: "POST", body: JSON.stringify(body) });
      expect(response.status).toBe(200);
      return answerSchema.parse(await response.json());
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    },
  };
}

/** Two engines with their pools on GPUs: every reference prompt must give the tokens that one engine alone gives. */
export async function expectExactTokens(
  model: ModelName,
  gpus: readonly [prefill: number, decode: number],
  environment: Readonly<Record<string, string>> = {},
): Promise<void> {
  await using prefill = await serve(model, "prefill", gpus[0], environment);
  await using decode = await serve(model, "decode", gpus[1], environment);
  const info = infoSchema.parse(await (await fetch(`${prefill.url}/server_info`)).json());
  for (const [index, reference] of (await readReferences(model)).entries()) {
    const request = {
      input_ids: reference.input_ids,
      sampling_params: { temperature: 0, max_new_tokens: reference.greedy_ids.length },
      bootstrap_host: "127.0.0.1",
      bootstrap_port: info.disaggregation_bootstrap_port,
      bootstrap_room: index + 1,
    };
    const [, answer] = await Promise.all([prefill.generate(request), decode.generate(request)]);
    expect(answer.output_ids).toEqual(reference.greedy_ids);
  }
}

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import pino from "pino";
import { parseArgs } from "../../engine/args.ts";
import { launch } from "../../engine/index.ts";
import { modelsDirectory } from "./references.ts";

const main = join(import.meta.dir, "../../engine/main.ts");
const model = join(modelsDirectory, "kjv-llama-4m");
const DEADLINE = { timeout: 30_000 };

describe("the engine's command line", () => {
  test(
    "serves on a free port, says where in one line, and leaves at SIGTERM",
    async () => {
      const args = ["--model-path", model, "--port", "0", "--max-total-tokens", "256", "--log-level", "silent"];
      await using child = Bun.spawn([process.execPath, main, ...args], { stdout: "pipe", stderr: "pipe" });
      const { value } = await child.stdout.getReader().read();
      const ready = JSON.parse(new TextDecoder().decode(value)) as { event: string; url: string; mode: string };
      expect(ready).toMatchObject({ event: "ready", mode: "null" });
      expect((await fetch(`${ready.url}/health`)).status).toBe(200);
      child.kill("SIGTERM");
      expect(await child.exited).toBe(0);
    },
    DEADLINE,
  );

  test(
    "says what is wrong in a sentence and leaves with 1",
    async () => {
      const child = Bun.spawn([process.execPath, main, "--model-path", "/nowhere"], { stdout: "pipe", stderr: "pipe" });
      const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      expect(await child.exited).toBe(1);
      expect(stderr).toBe("error: /nowhere/config.json does not exist\n");
      expect(stdout).toBe("");
    },
    DEADLINE,
  );

  test.each([
    [[], "--model-path"],
    [["--model-path", model, "--port", "70000"], "a port, 0 to 65535"],
    [["--model-path", model, "--page-size", "0"], "--page-size"],
    [["--model-path", model, "--mem-fraction-static", "1.5"], "a number above 0 and below 1"],
    [["--model-path", model, "--disaggregation-mode", "both"], "null, prefill, decode"],
    [["--model-path", model, "--log-level", "loud"], "--log-level"],
    [["--model-path", model, "--disaggregation-transfer-options", "{verbs}"], "an object of objects"],
    [["--model-path", model, "--kv-device", "gpu"], "cpu, cuda"],
    [["--model-path", model, "--kv-device", "cuda"], "--kv-device: cuda is for halves of a pair"],
    [["--model-path", model, "--no-such-flag"], "--no-such-flag"],
    [["--model-path", model, "--context-length", "5000"], "more than the model's 2048"],
    [["--model-path", model, "--max-total-tokens", "3"], "less than one page of 16 tokens"],
    [["--model-path", model, "--chat-template", "/nowhere"], "--chat-template: /nowhere does not exist"],
    [["--model-path", model, "--tokenizer-path", "/nowhere"], "/nowhere/tokenizer.json does not exist"],
  ] as [string[], string][])("%j is refused by name", async (args, part) => {
    const start = async () => launch(parseArgs(args, "0"), pino({ level: "silent" }));
    const message = await start().then(
      () => "started",
      (cause: unknown) => String(cause),
    );
    expect(message).toContain(part);
  });
});

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { modelsDirectory } from "./references.ts";

const main = join(import.meta.dir, "../../engine/main.ts");
const model = join(modelsDirectory, "kjv-llama-4m");

async function run(...args: string[]): Promise<{ code: number; stderr: string; stdout: string }> {
  const child = Bun.spawn([process.execPath, main, ...args], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, stdout, stderr };
}

describe("the engine's command line", () => {
  test("serves on a free port, says where in one line, and leaves at SIGTERM", async () => {
    const args = ["--model-path", model, "--port", "0", "--max-total-tokens", "256", "--log-level", "silent"];
    await using child = Bun.spawn([process.execPath, main, ...args], { stdout: "pipe", stderr: "pipe" });
    const { value } = await child.stdout.getReader().read();
    const ready = JSON.parse(new TextDecoder().decode(value)) as { event: string; url: string; mode: string };
    expect(ready).toMatchObject({ event: "ready", mode: "null" });
    expect((await fetch(`${ready.url}/health`)).status).toBe(200);
    child.kill("SIGTERM");
    expect(await child.exited).toBe(0);
  });

  test.concurrent.each([
    [[], "--model-path"],
    [["--model-path", "/nowhere"], "/nowhere/config.json does not exist"],
    [["--model-path", model, "--port", "70000"], "a port, 0 to 65535"],
    [["--model-path", model, "--page-size", "0"], "--page-size"],
    [["--model-path", model, "--mem-fraction-static", "1.5"], "a number above 0 and below 1"],
    [["--model-path", model, "--disaggregation-mode", "both"], "null, prefill, decode"],
    [["--model-path", model, "--log-level", "loud"], "--log-level"],
    [["--model-path", model, "--context-length", "5000"], "more than the model's 2048"],
    [["--model-path", model, "--max-total-tokens", "3"], "less than one page of 16 tokens"],
    [["--model-path", model, "--chat-template", "/nowhere"], "--chat-template: /nowhere does not exist"],
    [["--model-path", model, "--no-such-flag"], "--no-such-flag"],
  ] as [string[], string][])("%j is refused by name", async (args, part) => {
    const { code, stderr, stdout } = await run(...args);
    expect(code).toBe(1);
    expect(stderr).toContain(part);
    expect(stdout).toBe("");
  });
});

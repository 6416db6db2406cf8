import { describe, expect, test } from "bun:test";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, type Options } from "../../lb/config/index.ts";

const load = async (line: string, env: Record<string, string> = {}): Promise<Options> =>
  (await loadConfig(
    line.split(" ").filter((word) => word !== ""),
    env,
  ))!.options;

test("workers are given as mini_lb's are", async () => {
  const { prefill, decode } = await load(
    "--prefill http://a:1 8998 --prefill http://b:2 none --prefill http://c:3 --decode http://d:4 --decode http://e:5",
  );
  expect(prefill).toEqual([
    { url: "http://a:1", bootstrapPort: 8998 },
    { url: "http://b:2", bootstrapPort: null },
    { url: "http://c:3" },
  ]);
  expect(decode.map(({ url }) => url)).toEqual(["http://d:4", "http://e:5"]);
});

test("bootstrap ports are spread: one for all, or one for each", async () => {
  const ports = async (value: string) =>
    (await load(`--prefill http://a:1 --prefill http://b:1 --prefill-bootstrap-ports ${value}`)).prefill.map(
      (worker) => worker.bootstrapPort,
    );
  expect(await ports("9000")).toEqual([9000, 9000]);
  expect(await ports("9000,9001")).toEqual([9000, 9001]);
  await expect(ports("1,2,3")).rejects.toThrow("one for each of the 2");
});

test("flags win over the environment, the environment over the file", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "kvwire-lb-")), "lb.jsonc");
  writeFileSync(
    file,
    '{ // a comment\n "port": 1, "queueSize": 1, "retryMaxRetries": 1, "decode": [{ "url": "http://d:1" }] }',
  );
  const env = {
    KVWIRE_LB_PORT: "2",
    KVWIRE_LB_QUEUE_SIZE: "2",
    KVWIRE_LB_PREFILL: "http://p:1 8998",
    KVWIRE_LB_DISABLE_RETRIES: "true",
  };
  const options = await load(`--config ${file} --port 3`, env);
  expect(options).toMatchObject({ port: 3, queueSize: 2, retryMaxRetries: 1, disableRetries: true });
  expect(options.prefill).toEqual([{ url: "http://p:1", bootstrapPort: 8998 }]);
  expect(options.decode).toEqual([{ url: "http://d:1" }]);
});

describe("a bad value is refused with the flag's name and what is allowed", () => {
  test.each([
    ["--queue-size x", /--queue-size: .*number/],
    ["--port 70000", /--port: .*65535/],
    ["--policy best", /--policy: expected one of random, round_robin/],
    ["--log-level loud", /--log-level: .*"trace"/],
    ["--decode ftp://x", /--decode \(0\.url\): expected an http/],
    ["--decode http://x 8998", /--decode: expected a URL, came '8998'/],
    ["--prefill 8998", /--prefill: expected a URL before/],
    ["--no-such-flag", /unknown option '--no-such-flag'/],
    ["stray", /too many arguments/],
    ["--config /nonexistent.json", /does not exist/],
  ])("%s", async (line, message) => {
    await expect(load(line)).rejects.toThrow(message);
  });
});

test("a file with an unknown option is refused", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "kvwire-lb-")), "lb.yaml");
  writeFileSync(file, "queue_size: 3\n");
  await expect(load(`--config ${file}`)).rejects.toThrow("queue_size");
});

test("--help tells every option's variable and default; --print-config gives back what a file may hold, without keys", async () => {
  const run = (...args: string[]): string =>
    Bun.spawnSync([process.execPath, "lb/main.ts", ...args], { cwd: join(import.meta.dir, "../..") }).stdout.toString();
  expect(run("--help")).toContain("KVWIRE_LB_QUEUE_SIZE");
  const printed = run("--print-config", "--api-key", "secret-1", "--queue-size", "7");
  expect(printed).not.toContain("secret-1");
  expect((JSON.parse(printed) as Options).queueSize).toBe(7);
});

import { describe, expect, test } from "bun:test";
import { readReferences } from "../references.ts";
import { DemoProcess, isAlive } from "./demo-process.ts";

const DEADLINE = { timeout: 60_000 };
const RUNNING = /\ncurl (\S+) -d '(.*)'\n/;

describe("the demonstration", () => {
  test(
    "starts the servers, streams the text and shows what it took; nothing is left",
    async () => {
      await using demo = new DemoProcess("--transport", "shm");
      expect(await demo.ended()).toBe(0);
      const [reference] = await readReferences("kjv-llama-4m");
      expect(demo.stdout).toContain(reference!.prompt + reference!.text);
      expect(demo.stdout).toMatch(/tokens of the prompt +14 +14\n/);
      expect(demo.stdout).toMatch(/new tokens +128 +128\n/);
      expect(demo.stdout).toMatch(/time to first token +[\d.]+ ms +[\d.]+ ms\n/);
      expect(demo.stdout).toMatch(/KV cache, bytes +34,112 +34,112\n/);
      expect(demo.stdout).toMatch(/pages of 16 tokens +1 +1\n/);
      expect(demo.stdout).toMatch(/transport +shm +shm\n/);
      expect(demo.stdout).toMatch(/GB\/s in that time +[\d.]+ +[\d.]+\n/);
      expect(demo.stderr).toBe("");
      expect(demo.children).toEqual([]);
    },
    DEADLINE,
  );

  test.each(["SIGINT", "SIGTERM"] as const)(
    "keeps them with --keep, answers the curl line, and leaves no process at %s",
    async (signal) => {
      await using demo = new DemoProcess("--keep", "--prompt", "It's", "--model", "kjv-deepseek-v3-4m");
      const [, url, quoted] = await demo.until(RUNNING);
      const { children } = demo;
      expect(children).toHaveLength(3);
      const response = await fetch(url!, { method: "POST", body: quoted!.replaceAll(`'\\''`, "'") });
      expect(response.status).toBe(200);
      expect(demo.stdout).toContain(`It's${((await response.json()) as { text: string }).text}`);
      demo.signal(signal);
      expect(await demo.ended()).toBe(0);
      expect(children.filter(isAlive)).toEqual([]);
    },
    DEADLINE,
  );

  test(
    "ends with the reason and without a process when a server dies",
    async () => {
      await using demo = new DemoProcess("--keep");
      await demo.until(RUNNING);
      const { children } = demo;
      process.kill(children[0]!, "SIGKILL");
      expect(await demo.ended()).toBe(1);
      expect(demo.stderr).toMatch(/error: (prefill|decode|load balancer) was ended by SIGKILL while it was needed/);
      expect(children.filter(isAlive)).toEqual([]);
    },
    DEADLINE,
  );

  test(
    "leaves no process when it is interrupted while starting",
    async () => {
      await using demo = new DemoProcess();
      await demo.until(/Starting/);
      const { children } = demo;
      demo.signal("SIGINT");
      expect(await demo.ended()).toBe(130);
      expect(children.length).toBeGreaterThan(0);
      expect(children.filter(isAlive)).toEqual([]);
      expect(demo.children).toEqual([]);
    },
    DEADLINE,
  );

  test.each([
    [["--transport", "pigeon"], /(?:prefill|decode) .* its last words:\n.*transport "pigeon"/],
    [["--model", "/nowhere"], /--model: there is no config.json/],
    [["--decode", "0"], /--decode.*whole number from 1/],
  ])(
    "%j fails with a reason",
    async (args, reason) => {
      await using demo = new DemoProcess(...args);
      expect(await demo.ended()).toBe(1);
      expect(demo.stderr).toMatch(reason);
      expect(demo.children).toEqual([]);
    },
    DEADLINE,
  );
});

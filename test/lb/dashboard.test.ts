import { expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium, type Page } from "playwright-core";
import { Cluster } from "./support/cluster.ts";

const BROWSER = Bun.which("chromium") ?? Bun.which("google-chrome");
/** Where the screenshot is kept. */
const ARTEFACTS = process.env["KVWIRE_ARTEFACTS"] ?? join(tmpdir(), "kvwire-artefacts");

/** Waits for what the page shows; an expression, because it is evaluated over there. */
async function shows(page: Page, expression: string): Promise<void> {
  await page.waitForFunction(expression, undefined, { timeout: 15_000 });
}

test.skipIf(BROWSER === null)(
  "the dashboard lives in a real browser (skipped without chromium)",
  async () => {
    await using cluster = new Cluster({}, { prefills: 2, decodes: 2 });
    const browser = await chromium.launch({ executablePath: BROWSER!, args: ["--no-sandbox", "--disable-gpu"] });
    try {
      const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(error.message));
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      await page.goto(`${cluster.url}/dashboard`);
      await shows(page, 'document.querySelectorAll("#workers tr").length === 4');
      for (let i = 0; i < 20; i++) await (await cluster.post("/generate", { text: "x", stream: true })).text();
      cluster.balancer.fleet.of("decode")[0]!.draining = true;
      // The next second's event brings both.
      await shows(page, 'document.querySelector("#workers").textContent.includes("draining")');
      await shows(page, 'document.querySelectorAll("#rate polyline").length === 2');
      const tiles = await page.locator("#tiles").innerText();
      expect(tiles).toContain("TTFT p50");
      expect(await page.locator("#state").innerText()).toMatch(/^up \d+ s$/);
      mkdirSync(ARTEFACTS, { recursive: true });
      await page.screenshot({ path: join(ARTEFACTS, "dashboard.png") });
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  },
  60_000,
);

import { expect, test } from "bun:test";
import { MockWorker } from "./support/mock-worker.ts";
import { Command } from "./support/command.ts";

const generate = (url: string, body: object): Promise<Response> =>
  fetch(`${url}/generate`, { method: "POST", body: JSON.stringify(body) });

test("SIGTERM: not ready at once, the running stream ends well, exit 0", async () => {
  await using command = new Command();
  const url = await command.url();
  command.decode.gap = 80;
  const response = await generate(url, { text: "x", stream: true });
  command.process.kill("SIGTERM");
  expect(await response.text()).toEndWith("data: [DONE]\n\n");
  expect(await command.process.exited).toBe(0);
}, 20_000);

test("while it drains, /readiness is 503 and requests are still served", async () => {
  await using command = new Command();
  const url = await command.url();
  command.decode.gap = 150;
  const stream = await generate(url, { text: "x", stream: true });
  command.process.kill("SIGTERM");
  let status = 0;
  const deadline = performance.now() + 2000;
  while (status !== 503 && performance.now() < deadline) status = (await fetch(`${url}/readiness`)).status;
  expect(status).toBe(503);
  expect((await generate(url, { text: "y" })).status).toBe(200);
  await stream.text();
}, 20_000);

test("several threads serve one port, share what they know, and drain together", async () => {
  await using command = new Command(["--workers", "3"]);
  const url = await command.url();
  const close = { headers: { connection: "close" } };
  for (let i = 0; i < 30; i++) {
    const response = await fetch(`${url}/generate`, { method: "POST", body: '{"text":"x"}', ...close });
    expect(response.status).toBe(200);
  }
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('kvwire_lb_requests_total{endpoint="/generate"} 30\n');
  const rooms = command.hub.seen.decode;
  expect(new Set(rooms).size).toBe(rooms.length);

  // A worker added through one thread is known to all.
  const third = new MockWorker("decode", command.hub);
  await fetch(`${url}/workers`, { method: "POST", body: JSON.stringify({ url: third.url, worker_type: "decode" }) });
  const known = async (): Promise<number> =>
    ((await (await fetch(`${url}/workers`, close)).json()) as { total: number }).total;
  // New connections land on any thread: twelve in a row that know of it leave none out.
  let inRow = 0;
  const deadline = performance.now() + 5000;
  while (inRow < 12 && performance.now() < deadline) inRow = (await known()) === 3 ? inRow + 1 : 0;
  expect(inRow).toBe(12);
  third.stop();
  command.process.kill("SIGTERM");
  expect(await command.process.exited).toBe(0);
}, 30_000);

test("administration and metrics have ports of their own where asked", async () => {
  const free = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  const { port } = free;
  free.stop(true);
  await using command = new Command(["--admin-port", String(port)]);
  const url = await command.url();
  expect((await fetch(`${url}/workers`)).status).toBe(404);
  expect((await fetch(`http://127.0.0.1:${port}/workers`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${port}/generate`, { method: "POST", body: "{}" })).status).toBe(404);
}, 20_000);

import { expect, test } from "bun:test";
import { Cluster, until } from "./support/cluster.ts";

test("connections are kept and used again, one each for one request after another", async () => {
  await using cluster = new Cluster();
  for (let i = 0; i < 20; i++) await (await cluster.post("/generate", { text: "x" })).text();
  expect([cluster.prefill.accepted, cluster.decode.accepted]).toEqual([1, 1]);
});

test("an idle connection is given up before the engine would close it", async () => {
  await using cluster = new Cluster({ keepAliveSecs: 0.1 });
  await (await cluster.post("/generate", { text: "x" })).text();
  const [worker] = cluster.balancer.fleet.of("decode");
  expect(worker!.pool.idle).toBe(1);
  await until(() => cluster.decode.connections === 0, 1000);
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
});

test("engines that close idle connections just as a burst comes fail no request", async () => {
  await using cluster = new Cluster();
  const burst = (): Promise<number[]> =>
    Promise.all(Array.from({ length: 40 }, async () => (await cluster.post("/generate", { text: "x" })).status));
  for (let round = 0; round < 5; round++) {
    expect(new Set(await burst())).toEqual(new Set([200]));
    cluster.prefill.closeIdle();
    cluster.decode.closeIdle();
  }
  await until(() => cluster.hub.orphans === 0, 1500);
});

test("a client that does not read slows the engine down instead of filling our memory", async () => {
  await using cluster = new Cluster();
  let written = 0;
  const chunk = `data: {"text":"${"x".repeat(64 * 1024)}"}\n\n`;
  const LIMIT = 3000;
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    const { connection } = request;
    connection.streamHead();
    const pump = (): void => {
      while (connection.writable && written < LIMIT) {
        written++;
        connection.chunk(chunk);
      }
      if (!connection.gone && written < LIMIT) setTimeout(pump, 1);
    };
    pump();
    return true;
  };
  const port = cluster.server.port;
  let received = 0;
  const body = '{"text":"x","stream":true}';
  const client = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      open: (socket) => {
        socket.write(`POST /generate HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
        socket.pause();
      },
      data: (_socket, data) => {
        received += data.length;
      },
    },
  });
  await until(() => written > 10);
  let before = -1;
  // It has come to a stop when nothing more is taken for 300 ms.
  for (let still = 0; still < 30; still = written === before ? still + 1 : 0) {
    before = written;
    await Bun.sleep(10);
  }
  expect(written).toBeLessThan(LIMIT / 2);
  client.resume();
  await until(() => received > 100_000_000, 10_000);
  client.terminate();
  await until(() => cluster.balancer.live.size === 0);
}, 30_000);

test("a body larger than any socket buffer goes out whole, from where it lies", async () => {
  await using cluster = new Cluster();
  const text = "0123456789".repeat(1_600_000);
  const response = await cluster.post("/generate", { text });
  expect(response.status).toBe(200);
  expect((cluster.decode.bodies[0] as { text: string }).text === text).toBe(true);
});

test("a body above the limit is a 413", async () => {
  await using cluster = new Cluster({ maxPayloadSize: 1000 });
  expect((await cluster.post("/generate", { text: "x".repeat(2000) })).status).toBe(413);
});

test("an answer that comes byte by byte, or without length, is whole at the client", async () => {
  await using cluster = new Cluster();
  const text = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + JSON.stringify({ text: "y".repeat(50) });
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    let at = 0;
    const next = (): void => {
      if (at < text.length) {
        request.connection.raw(text.slice(at, ++at));
        setTimeout(next, 0);
      } else request.connection.close();
    };
    next();
    return true;
  };
  const response = await cluster.post("/generate", { text: "x" });
  expect(((await response.json()) as { text: string }).text).toBe("y".repeat(50));
});

test("2,048 streams at once: all whole, nothing left", async () => {
  await using cluster = new Cluster({}, { prefills: 2, decodes: 2 });
  const texts = await Promise.all(
    Array.from({ length: 2048 }, async () => (await cluster.post("/generate", { text: "x", stream: true })).text()),
  );
  expect(texts.every((text) => text.endsWith("data: [DONE]\n\n"))).toBe(true);
  expect(new Set(cluster.hub.seen.decode).size).toBe(cluster.hub.seen.decode.length);
  await until(() => cluster.balancer.live.size === 0);
  for (const worker of cluster.balancer.fleet.all()) expect([worker.requests, worker.tokens]).toEqual([0, 0]);
}, 60_000);

test("an https worker is spoken to over TLS, and its certificate is checked", async () => {
  const pem = Bun.spawnSync([
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    "-",
    "-out",
    "-",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=DNS:localhost",
  ]);
  if (!pem.success) {
    console.warn("skipped: openssl is not installed");
    return;
  }
  const text = pem.stdout.toString();
  const key = /-----BEGIN PRIVATE KEY-----[^]*?-----END PRIVATE KEY-----/.exec(text)![0];
  const cert = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/.exec(text)![0];
  using engine = Bun.serve({ port: 0, tls: { key, cert }, fetch: () => Response.json({ text: "secure" }) });
  const worker = { url: `https://localhost:${engine.port}` };
  await using strict = new Cluster({ prefill: [worker], decode: [worker], disableRetries: true });
  expect((await strict.post("/generate", { text: "x" })).status).toBe(502);
  await using trusting = new Cluster({ prefill: [worker], decode: [worker], workerTlsInsecure: true });
  const response = await trusting.post("/generate", { text: "x" });
  expect(await response.json()).toEqual({ text: "secure" });
});

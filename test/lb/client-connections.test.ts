import { describe, expect, test } from "bun:test";
import { Listener } from "../../lb/downstream/index.ts";
import { errorAnswer } from "../../lb/relay/index.ts";
import { Cluster, until } from "./support/cluster.ts";
import { RawClient } from "./support/raw-client.ts";

const request = (body: string, fields = "", path = "/generate"): string =>
  `POST ${path} HTTP/1.1\r\nHost: x\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
const GENERATE = request('{"text":"x"}');
const field = (fields: readonly string[], name: string): string | undefined => fields[fields.indexOf(name) + 1];

test("one request after another on one connection, those for pairs and others", async () => {
  await using cluster = new Cluster();
  const client = await RawClient.connect(cluster.server.port);
  client.send(GENERATE);
  await client.answers("POST");
  client.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
  await client.answers("POST", "GET");
  client.send("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n");
  client.send(request('{"text":"x","stream":true}'));
  const all = await client.answers("POST", "GET", "HEAD", "POST");
  expect(all.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(all[2]!.body).toBe("");
  expect(all[3]!.body).toEndWith("data: [DONE]\n\n");
  expect(field(all[0]!.fields, "date")).toEndWith(" GMT");
  expect(client.closed).toBe(false);
});

test("pipelined requests are answered in their order, one at a time", async () => {
  await using cluster = new Cluster();
  let running = 0;
  let most = 0;
  cluster.decode.script = ({ connection, path }, body) => {
    if (path !== "/generate") return false;
    most = Math.max(most, ++running);
    setTimeout(
      () => {
        running--;
        connection.reply(200, JSON.stringify({ text: body["text"] }));
      },
      body["text"] === "0" ? 20 : 1,
    );
    return true;
  };
  const client = await RawClient.connect(cluster.server.port);
  const numbers = Array.from({ length: 20 }, (_, i) => String(i));
  client.send(numbers.map((text) => request(JSON.stringify({ text }))).join(""));
  const answers = await client.answers(...numbers.map(() => "POST"));
  expect(answers.map(({ body }) => (JSON.parse(body) as { text: string }).text)).toEqual(numbers);
  expect(most).toBe(1);
});

test("a pipeline longer than what is read ahead is answered whole", async () => {
  await using cluster = new Cluster();
  const client = await RawClient.connect(cluster.server.port);
  const one = request(JSON.stringify({ text: "y".repeat(20_000) }));
  client.send(one.repeat(8));
  expect(await client.answers(...Array.from({ length: 8 }, () => "POST"))).toHaveLength(8);
});

test("a request that comes byte by byte, in chunks, with an empty line before it", async () => {
  await using cluster = new Cluster();
  const client = await RawClient.connect(cluster.server.port);
  const body = '5\r\n{"tex\r\n7;a=b\r\nt":"x"}\r\n0\r\nt: 1\r\n\r\n';
  await client.trickle(`\r\nPOST /generate HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
  const [answer] = await client.answers("POST");
  expect(answer!.status).toBe(200);
  expect(cluster.decode.bodies[0]).toMatchObject({ text: "x" });
});

test("a client that expects to be told so is told to go on", async () => {
  await using cluster = new Cluster();
  const client = await RawClient.connect(cluster.server.port);
  const body = '{"text":"x"}';
  client.send(`POST /generate HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
  await until(() => client.received === "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(body);
  expect((await client.answers("POST"))[0]!.status).toBe(200);
});

describe("the connection ends after its response", () => {
  test.each([
    ["to connection: close", request('{"text":"x"}', "Connection: close\r\n"), 200],
    ["to HTTP/1.0", 'POST /generate HTTP/1.0\r\nContent-Length: 12\r\n\r\n{"text":"x"}', 200],
    ["to what is no request", "nonsense\r\n\r\n", 400],
    ["to a body above the limit", request("x".repeat(5000)), 413],
    ["to two framings", request("{}", "Transfer-Encoding: chunked\r\n"), 400],
  ])("%s", async (_name, text, status) => {
    await using cluster = new Cluster({ maxPayloadSize: 1000 });
    const client = await RawClient.connect(cluster.server.port);
    client.send(text + GENERATE);
    await until(() => client.closed);
    const [answer] = await client.answers("POST");
    expect([answer!.status, field(answer!.fields, "connection")]).toEqual([status, "close"]);
    expect(client.received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    await until(() => cluster.balancer.live.size === 0);
  });
});

test("a stream to HTTP/1.0 has no chunks and ends with the connection", async () => {
  await using cluster = new Cluster();
  const client = await RawClient.connect(cluster.server.port);
  client.send('POST /generate HTTP/1.0\r\nContent-Length: 26\r\n\r\n{"text":"x","stream":true}');
  await until(() => client.closed);
  expect(client.received).toEndWith("\n\ndata: [DONE]\n\n");
  expect(client.received.toLowerCase()).not.toContain("transfer-encoding");
});

test("no field of a request or of an engine splits a response", async () => {
  await using cluster = new Cluster();
  const client = await RawClient.connect(cluster.server.port);
  client.send(request('{"text":"x"}', "X-Request-Id: a\rSet-Cookie: b\r\n"));
  await until(() => client.closed);
  expect(client.received).toStartWith("HTTP/1.1 400 ");
  expect(client.received).not.toContain("Set-Cookie");
  cluster.decode.script = ({ connection, path }) => {
    if (path !== "/generate") return false;
    connection.raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: a\rset-cookie: b\r\n\r\n{}");
    return true;
  };
  const other = await RawClient.connect(cluster.server.port);
  other.send(GENERATE);
  const [answer] = await other.answers("POST");
  expect(answer!.status).toBe(502);
  expect(answer!.fields).not.toContain("set-cookie");
});

test("a client that leaves in mid-request or mid-stream leaves nothing behind", async () => {
  await using cluster = new Cluster();
  const half = await RawClient.connect(cluster.server.port);
  half.send(GENERATE.slice(0, 60));
  half.leave();
  cluster.decode.gap = 50;
  const streaming = await RawClient.connect(cluster.server.port);
  streaming.send(request('{"text":"x","stream":true}'));
  await until(() => streaming.received.includes("data:"));
  streaming.leave();
  await until(() => cluster.balancer.live.size === 0);
  expect(cluster.decode.requests.filter(({ path }) => path === "/generate")).toHaveLength(1);
});

test("the dashboard's events come as they are made, and end when the client leaves", async () => {
  await using cluster = new Cluster();
  const client = await RawClient.connect(cluster.server.port);
  client.send("GET /dashboard/events HTTP/1.1\r\nHost: x\r\n\r\n");
  await until(() => client.received.includes("data: {"));
  client.leave();
});

test("a client that stops in mid-request is told so after its time, and let go", async () => {
  const listener = new Listener({
    hostname: "127.0.0.1",
    port: 0,
    maxBody: 1000,
    patience: 30,
    take: (connection) => {
      connection.answer(errorAnswer(200, "none", "fine"));
      return true;
    },
    fetch: () => new Response(),
    onError: () => undefined,
  });
  const idle = await RawClient.connect(listener.port);
  idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const slow = await RawClient.connect(listener.port);
  slow.send(GENERATE.slice(0, -1));
  await until(() => slow.closed);
  expect(slow.received).toStartWith("HTTP/1.1 408 ");
  // Nothing is waited for between requests.
  expect(idle.closed).toBe(false);
  listener.stop();
});

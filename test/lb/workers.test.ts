import { expect, test } from "bun:test";
import { Cluster, until } from "./support/cluster.ts";

type View = { id: string; url: string; worker_type: string; draining: boolean; breaker: string };

async function list(cluster: Cluster): Promise<View[]> {
  return ((await (await fetch(`${cluster.url}/workers`)).json()) as { workers: View[] }).workers;
}

test("a worker is added, drained, and removed while requests run", async () => {
  await using cluster = new Cluster({ prefill: [] });
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(503);
  const added = await cluster.post("/workers", {
    url: cluster.prefill.url,
    worker_type: "prefill",
    bootstrap_port: 9000,
  });
  expect(added.status).toBe(201);
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  expect(cluster.prefill.bodies.at(-1)!["bootstrap_port"]).toBe(9000);

  const { id } = (await added.json()) as View;
  const drained = await fetch(`${cluster.url}/workers/${id}`, { method: "PATCH", body: '{"draining":true}' });
  expect(((await drained.json()) as View).draining).toBe(true);
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(503);

  expect((await fetch(`${cluster.url}/workers/${id}`, { method: "DELETE" })).status).toBe(202);
  await until(() => cluster.balancer.fleet.of("prefill").length === 0);
  expect((await fetch(`${cluster.url}/workers/${id}`)).status).toBe(404);
});

test("a removed worker's running requests end well", async () => {
  await using cluster = new Cluster();
  cluster.decode.gap = 15;
  const response = await cluster.post("/generate", { text: "x", stream: true });
  const worker = (await list(cluster)).find(({ worker_type: role }) => role === "decode")!;
  await fetch(`${cluster.url}/workers/${worker.id}`, { method: "DELETE" });
  expect(await response.text()).toEndWith("data: [DONE]\n\n");
  await until(() => cluster.balancer.fleet.of("decode").length === 0);
});

test.each([
  [{ worker_type: "prefill" }, 400],
  [{ url: "ftp://x", worker_type: "prefill" }, 400],
  [{ url: "http://x:1", worker_type: "both" }, 400],
  [{ url: "http://x:1", worker_type: "prefill", bootstrap_port: 0 }, 400],
])("adding %j is %i", async (body, status) => {
  await using cluster = new Cluster();
  expect((await cluster.post("/workers", body)).status).toBe(status);
});

test("adding a known worker is a conflict", async () => {
  await using cluster = new Cluster();
  expect((await cluster.post("/workers", { url: cluster.decode.url, worker_type: "decode" })).status).toBe(409);
});

test("mini_lb's /register adds a worker", async () => {
  await using cluster = new Cluster({ decode: [] });
  const response = await cluster.post("/register", { mode: "decode", registry_url: cluster.decode.url });
  expect(response.status).toBe(201);
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
});

test("/pd_role_switch drains a server, waits until it is idle, and gives it its new role", async () => {
  await using cluster = new Cluster({}, { prefills: 2, decodes: 1 });
  const [worker] = cluster.prefills;
  let asked = 0;
  worker!.script = (request) => {
    if (request.path !== "/pd_role_switch") return false;
    const idle = ++asked > 1;
    request.connection.reply(
      idle ? 200 : 400,
      JSON.stringify(idle ? { success: true } : { success: false, message: "instance is not idle" }),
    );
    return true;
  };
  const response = await cluster.post("/pd_role_switch", { worker_url: worker!.url, new_role: "decode" });
  expect(response.status).toBe(200);
  expect(cluster.balancer.fleet.of("decode").map(({ name }) => name)).toContain(worker!.url);
  expect(cluster.balancer.fleet.of("prefill")).toHaveLength(1);
});

test("a refused role switch restores the server only where it says that nothing changed", async () => {
  await using cluster = new Cluster();
  for (const safe of [false, true]) {
    cluster.prefill.script = (request) => {
      if (request.path !== "/pd_role_switch") return false;
      request.connection.reply(500, JSON.stringify({ success: false, message: "cannot", safe_to_restore: safe }));
      return true;
    };
    expect(
      (await cluster.post("/pd_role_switch", { worker_url: cluster.prefill.url, new_role: "decode" })).status,
    ).toBe(500);
    expect(cluster.balancer.fleet.available("prefill")).toHaveLength(safe ? 1 : 0);
  }
});

test("an open breaker lets one request try after its time, and closes when enough went well", async () => {
  await using cluster = new Cluster({
    disableRetries: true,
    cbFailureThreshold: 1,
    cbSuccessThreshold: 1,
    cbTimeoutDurationSecs: 0.1,
  });
  cluster.decode.script = (request) => {
    if (request.path !== "/generate") return false;
    request.connection.reset();
    return true;
  };
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(502);
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(503);
  cluster.decode.script = undefined;
  const [worker] = cluster.balancer.fleet.of("decode");
  await until(() => worker!.available);
  expect((await cluster.post("/generate", { text: "x" })).status).toBe(200);
  expect(worker!.breaker.state).toBe("closed");
});

test("an IPv6 worker keeps its brackets for the engine and loses them for the socket", async () => {
  await using cluster = new Cluster();
  const worker = cluster.balancer.addWorker({ url: "http://[::1]:30000", role: "prefill", bootstrapPort: 8998 });
  expect(worker.bootstrap.hostJson).toBe('"[::1]"');
});

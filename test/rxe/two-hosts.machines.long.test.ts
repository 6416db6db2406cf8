import { afterAll, beforeAll, expect, test } from "bun:test";
import { describeMachines } from "./describe.ts";
import type { CommandResult } from "./guest-process.ts";
import type { Machine } from "./machine.ts";
import { type Network, startMachines } from "./network.ts";

/** A tiny web server, and its client that asks once: what a network is tested with where there is no ping. */
const port = 7070;
const server = `Bun.serve({ port: ${port}, fetch: () => new Response("hello") }); console.log("listening");`;
const ask = `console.log(await (await fetch(process.argv[1])).text())`;

async function serve(machine: Machine): Promise<void> {
  const listening = Promise.withResolvers<void>();
  machine.spawn([process.execPath, "-e", server], { onStdout: () => listening.resolve() }).exited.catch(() => {});
  await listening.promise;
}

function fetchFrom(machine: Machine, host: string, timeoutMs: number): Promise<CommandResult> {
  return machine.run([process.execPath, "-e", ask, `http://${host}:${port}`], { timeoutMs });
}

describeMachines("two machines", () => {
  let network: Network;

  beforeAll(async () => {
    network = await startMachines(2);
    await serve(network.host1);
  }, 120_000);

  afterAll(async () => network[Symbol.asyncDispose]());

  test("reach each other by name", async () => {
    expect((await fetchFrom(network.host2, "host1", 30_000)).stdout).toBe("hello\n");
  });

  test("carry RDMA between their devices", async () => {
    const words = ["ibv_rc_pingpong", "-d", "rxe0", "-g", "1", "-n", "50", "-c"];
    const serving = network.host1.run(words, { timeoutMs: 50_000 });
    let client = await network.host2.run([...words, "host1"]);
    while (client.code !== 0) client = await network.host2.run([...words, "host1"]);
    expect(client.stdout).toContain("50 iters");
    expect((await serving).stdout).toContain("GID ::ffff:10.77.0.2");
  });

  test("lose each other when a link goes down, and find each other when it is up again", async () => {
    expect((await network.host1.run("ip link set net0 down")).code).toBe(0);
    expect((await fetchFrom(network.host2, "host1", 3_000)).timedOut).toBe(true);
    expect((await network.host1.run("ip link set net0 up")).code).toBe(0);
    expect((await fetchFrom(network.host2, "host1", 30_000)).stdout).toBe("hello\n");
  });

  test("feel the delay that tc puts on their link", async () => {
    expect((await network.host1.run("tc qdisc add dev net0 root netem delay 400ms")).code).toBe(0);
    const start = performance.now();
    expect((await fetchFrom(network.host2, "host1", 30_000)).stdout).toBe("hello\n");
    expect(performance.now() - start).toBeGreaterThan(800); // the SYN's answer and the reply, 400 ms each
    expect((await network.host1.run("tc qdisc del dev net0 root")).code).toBe(0);
  });

  test("hear nothing of one whose power is cut, and then of the one that takes its place", async () => {
    await network.host1.powerCut();
    expect((await fetchFrom(network.host2, "host1", 3_000)).timedOut).toBe(true);
    await serve(await network.replace(network.host1));
    expect((await fetchFrom(network.host2, "host1", 30_000)).stdout).toBe("hello\n");
  });
});

import { $ } from "bun";
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { describeRdma } from "./describe.ts";
import { rdmaDevices } from "./devices.ts";

describeRdma("the machine's RDMA device", () => {
  const device = rdmaDevices()[0]!;

  test("has an active port", () => {
    expect(readFileSync(`/sys/class/infiniband/${device}/ports/1/state`, "utf8").trim()).toBe("4: ACTIVE");
  });

  test("is opened by libibverbs", async () => {
    expect(await $`ibv_devinfo -d ${device}`.text()).toMatch(/state:\s+PORT_ACTIVE/);
  });

  test("is seen by pyverbs", async () => {
    const program = "import pyverbs.device as d; print([x.name.decode() for x in d.get_device_list()])";
    expect(await $`/usr/bin/python3 -c ${program}`.text()).toContain(`'${device}'`);
  });

  test("carries messages between two processes", async () => {
    // The server tells nobody that it listens: the client asks until it does, with the test's time limit over both.
    const words = ["ibv_rc_pingpong", "-d", device, "-g", "1", "-n", "100", "-c"];
    await using server = Bun.spawn(words, { stdout: "pipe", stderr: "pipe" });
    let client = await $`${words} 127.0.0.1`.quiet().nothrow();
    while (client.exitCode !== 0 && server.exitCode === null) client = await $`${words} 127.0.0.1`.quiet().nothrow();
    expect(client.stdout.toString()).toContain("100 iters");
    expect(await server.exited).toBe(0);
    expect(await server.stdout.text()).toContain("100 iters");
  });
});

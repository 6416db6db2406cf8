import { expect, test } from "bun:test";
import { Device } from "../../../ffi/verbs/index.ts";
import { describeRdma } from "../../rxe/describe.ts";
import { routableGid } from "./support/loopback.ts";
import { ours, runTool, runTwo } from "./support/tools.ts";

const TIME_LIMIT_MS = 60_000;
const missing = ["ibv_rc_pingpong", "ibv_ud_pingpong", "ibv_devinfo"].filter((tool) => !Bun.which(tool));
const skipped = missing.length > 0 ? ` (skipped: no ${missing.join(", ")}; Debian: ibverbs-utils)` : "";

describeRdma("pingpong tools", () => {
  const gidIndex = () => {
    using context = Device.find().open();
    return String(routableGid(context).index);
  };

  const rc = { c: ["ibv_rc_pingpong"], ts: ours("rc-pingpong") };
  const ud = { c: ["ibv_ud_pingpong"], ts: ours("ud-pingpong") };

  async function expectExchange(server: string[], client: string[], flags: string[], iterations: number) {
    const all = ["-g", gidIndex(), "-c", "-n", String(iterations), ...flags];
    const results = await runTwo(server, client, all);
    for (const { code, output } of [results.server, results.client]) {
      expect(output).toContain(`${iterations} iters in`);
      expect(output).not.toContain("invalid data");
      expect(code).toBe(0);
    }
  }

  for (const [server, client] of [
    ["c", "ts"],
    ["ts", "c"],
  ] as const) {
    const pair = `${server === "c" ? "a C" : "our"} server and ${client === "c" ? "a C" : "our"} client`;
    for (const events of [false, true]) {
      const how = events ? "over events" : "polling";
      const flags = events ? ["-e"] : [];
      for (const size of [64, 1024 * 1024]) {
        test.skipIf(skipped !== "")(
          `exchange messages of ${size} bytes, ${how}: ${pair}${skipped}`,
          () =>
            expectExchange(rc[server], rc[client], ["-s", String(size), "-m", "4096", ...flags], size > 64 ? 2 : 20),
          TIME_LIMIT_MS,
        );
      }
      test.skipIf(skipped !== "")(
        `exchange datagrams, ${how}: ${pair}${skipped}`,
        () => expectExchange(ud[server], ud[client], ["-s", "512", ...flags], 15),
        TIME_LIMIT_MS,
      );
    }
  }

  test(
    "post receives again and again when the depth is small",
    () => expectExchange(rc.ts, rc.ts, ["-r", "3", "-e"], 12),
    TIME_LIMIT_MS,
  );

  test(
    "refuse on-demand paging where there is none, and a datagram that is too large",
    async () => {
      using context = Device.find().open();
      const tooLarge = await runTool([...ours("ud-pingpong"), "-s", "5000"]);
      expect(tooLarge).toMatchObject({ code: 1 });
      expect(tooLarge.output).toContain("a datagram fits the port's MTU");
      if (context.queryDeviceExtended().onDemandPaging !== 0n) return;
      const onDemand = await runTool([...ours("rc-pingpong"), "-o"]);
      expect(onDemand).toMatchObject({ code: 1 });
      expect(onDemand.output).toContain("isn't ODP capable");
    },
    TIME_LIMIT_MS,
  );
});

describeRdma("listing tools", () => {
  for (const flags of [[], ["-l"], ["-v"]]) {
    test.skipIf(skipped !== "")(
      `devinfo ${flags.join(" ")} prints what ibv_devinfo prints${skipped}`,
      async () => {
        const [expected, actual] = await Promise.all([
          runTool(["ibv_devinfo", ...flags]),
          runTool([...ours("devinfo"), ...flags]),
        ]);
        expect(actual).toEqual(expected);
      },
      TIME_LIMIT_MS,
    );
  }

  test(
    "show-gids prints each address once, with the index that the other tools take",
    async () => {
      using context = Device.find().open();
      const { code, output } = await runTool(ours("show-gids"));
      expect(code).toBe(0);
      for (const { index, gid } of context.gids()) {
        expect(output).toContain(`${context.device.name}\t1\t${index}\t${gid.toLongString()}\t`);
      }
      expect(output).toContain(`n_gids_found=${Device.list().length === 1 ? context.gids().length : ""}`);
    },
    TIME_LIMIT_MS,
  );
});

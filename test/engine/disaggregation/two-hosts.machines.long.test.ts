import { afterAll, beforeAll, test } from "bun:test";
import { join } from "node:path";
import { describeMachines, LineProcess, type Network, startMachines } from "../../rxe/index.ts";
import { type ModelName, modelNames } from "../references.ts";
import type { Generated } from "./hosts/half.ts";
import { expectReferences } from "./hosts/jobs.ts";

const program = join(import.meta.dir, "hosts/program.ts");

/** Two machines with a processor each, emulated: starting the engines takes a minute. */
describeMachines("engines over verbs on two hosts", () => {
  let network: Network;
  let prefill: LineProcess;
  let decode: LineProcess;
  let ports: Record<ModelName, number>;

  beforeAll(async () => {
    network = await startMachines(2);
    const { host1, host2 } = network;
    prefill = new LineProcess(host1, [process.execPath, program, "prefill", host1.address]);
    decode = new LineProcess(host2, [process.execPath, program, "decode", host2.address]);
    const hellos = await Promise.all([prefill.answer(), decode.answer()]);
    ports = hellos[0] as Record<ModelName, number>;
  }, 300_000);

  afterAll(async () => network?.[Symbol.asyncDispose]());

  test.each(modelNames)(
    "%s: all reference prompts, 16 rooms at once, fragmented pages on both sides, exact tokens",
    async (model) => {
      const where = { host: network.host1.address, port: ports[model] };
      await expectReferences(model, where, (ask) => [
        prefill.ask(ask) as Promise<Generated>,
        decode.ask(ask) as Promise<Generated>,
      ]);
    },
    300_000,
  );
});

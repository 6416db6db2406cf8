import { test } from "bun:test";
import { buildStandIn, standInEnvironment } from "../../cuda/stand-in/build.ts";
import { modelNames } from "../references.ts";
import { expectExactTokens } from "./gpu-engines.ts";

test.each(modelNames)(
  "%s: with both pools in the stand-in's device memory, every reference prompt gives the exact tokens over cuda-ipc",
  async (model) => {
    const standIn = standInEnvironment(buildStandIn());
    await expectExactTokens(model, [0, 1], { ...standIn, KVWIRE_STAND_IN_DELAY_US: "0" });
  },
  60_000,
);

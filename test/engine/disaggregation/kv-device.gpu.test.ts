import { test } from "bun:test";
import { gpuCount } from "../../cuda/gpus.ts";
import { modelNames } from "../references.ts";
import { expectExactTokens } from "./gpu-engines.ts";

const reason = gpuCount === 0 ? " (skipped: there is no GPU)" : "";
const decodeOn = gpuCount > 1 ? 1 : 0;

test.skipIf(gpuCount === 0).each(modelNames)(
  `%s: with prefill's pool on GPU 0 and decode's on GPU ${decodeOn}, every reference prompt gives the exact tokens${reason}`,
  async (model) => expectExactTokens(model, [0, decodeOn]),
  120_000,
);

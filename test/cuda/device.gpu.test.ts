import { describeDevice } from "./device-suite.ts";
import { gpuCount, noGpu } from "./gpus.ts";

describeDevice(
  gpuCount > 0 ? "a real GPU" : `a real GPU (skipped: ${noGpu})`,
  () => ({ paths: {}, environment: {} }),
  gpuCount === 0,
);

import { CudaRuntime } from "../../cuda/index.ts";
import { describeDevice } from "./device-suite.ts";

const missing = ((): string | undefined => {
  try {
    CudaRuntime.open().deviceCount();
    return undefined;
  } catch (error) {
    return (error as Error).message.split(".")[0];
  }
})();

describeDevice(
  missing === undefined ? "a real GPU" : `a real GPU (skipped: ${missing})`,
  () => ({ paths: {}, environment: {} }),
  missing !== undefined,
);

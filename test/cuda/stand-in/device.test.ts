import { describeDevice } from "../device-suite.ts";
import { buildStandIn, standInEnvironment } from "./build.ts";

const library = buildStandIn();
describeDevice(
  "a device of the stand-in",
  () => ({
    paths: { cudart: library, libcuda: library, nvrtc: library },
    environment: standInEnvironment(library),
  }),
  false,
);

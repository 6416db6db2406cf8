/**
 * `npm test`: the host's tests, then those that need an RDMA device, in a virtual machine unless this computer has one.
 * @module
 */
import { rdmaDevices } from "./rxe/devices.ts";
import { MachineError } from "./rxe/errors.ts";
import { deviceTests, runDeviceSuite, runHostTests, say, type SuiteResult, testTimeout } from "./rxe/suite.ts";
import { describeTally, nothing, sum } from "./rxe/tally.ts";

const devices = rdmaDevices();
const direct = devices.length > 0;

/** With a device, the plain `bun test` has run them. */
async function deviceSuite(): Promise<SuiteResult> {
  try {
    return await runDeviceSuite({ all: Boolean(process.env["CI"]), filters: [], bunOptions: [] });
  } catch (cause) {
    if (!(cause instanceof MachineError)) throw cause;
    say(cause.message);
    return { code: 1, tally: { ...nothing, failed: 1 } };
  }
}

const elsewhere = Object.values(deviceTests).flatMap((kind) => [
  `--path-ignore-patterns=**/*.${kind}.test.ts`,
  `--path-ignore-patterns=**/*.${kind}.long.test.ts`,
]);
if (direct) say(`the tests use ${devices.join(", ")}`);
const start = performance.now();
const results = [await runHostTests([...testTimeout, ...(direct ? [] : elsewhere)], {})];
if (!direct) results.push(await deviceSuite());

say(`${describeTally(sum(results.map(({ tally }) => tally)))} in ${((performance.now() - start) / 1000).toFixed(0)} s`);
process.exitCode = results.find(({ code }) => code !== 0)?.code ?? 0;

import { MachineError } from "./errors.ts";
import { runDeviceSuite, say } from "./suite.ts";

/** `bun run test:rxe [-- --all] [part of a path…] [options of bun test…]` */
const words = process.argv.slice(2);
const all = words.includes("--all");
const rest = words.filter((word) => word !== "--all");
const firstOption = rest.findIndex((word) => word.startsWith("-"));
const filters = firstOption < 0 ? rest : rest.slice(0, firstOption);
const bunOptions = firstOption < 0 ? [] : rest.slice(firstOption);

try {
  process.exitCode = (await runDeviceSuite({ all, filters, bunOptions })).code;
} catch (cause) {
  if (!(cause instanceof MachineError)) throw cause;
  say(cause.message);
  process.exitCode = 1;
}

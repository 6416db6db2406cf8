import { Command, InvalidArgumentError } from "commander";
import { MachineError, MachineUnavailableError } from "./errors.ts";
import { type Network, startMachines } from "./network.ts";
import { runOnTwoHosts, runShell, runStreamed } from "./session.ts";

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("expected a positive number");
  return value;
}

interface Options {
  readonly two?: true;
  readonly timeLimit?: number;
  readonly processors?: number;
  readonly memory?: number;
}

async function withMachines(options: Options, use: (network: Network) => Promise<number>): Promise<number> {
  await using network = await startMachines(options.two ? 2 : 1, {
    ...(options.processors === undefined ? {} : { processors: options.processors }),
    ...(options.memory === undefined ? {} : { memoryMiB: options.memory }),
  });
  return await use(network);
}

function main(words: readonly string[], options: Options): Promise<number> {
  const timeoutMs = options.timeLimit === undefined ? undefined : options.timeLimit * 1000;
  const [first, second] = words;
  if (options.two) {
    if (words.length !== 2) throw new InvalidArgumentError("--two takes two command lines");
    return withMachines(options, (network) => runOnTwoHosts(network, [first!, second!], timeoutMs));
  }
  if (first === undefined) return withMachines(options, ({ host1 }) => runShell(host1));
  return withMachines(options, ({ host1 }) => runStreamed(host1, words.length === 1 ? first : words, timeoutMs));
}

const program = new Command("vm")
  .description(
    "A virtual machine with a soft-RoCE device, rxe0. It reads this computer's files; what it writes is lost.",
  )
  .argument(
    "[command...]",
    "a program and its arguments, or one word: a line for the shell. None: an interactive shell",
  )
  .option("--two", "two machines, host1 and host2; takes two command lines, one for each, run at the same time")
  .option("--time-limit <seconds>", "kill the command after this; its exit code is then 124", positive)
  .option("--processors <count>", "of each machine", positive)
  .option("--memory <MiB>", "of each machine", positive)
  .passThroughOptions()
  .action(async (words: string[], options: Options) => {
    try {
      process.exitCode = await main(words, options);
    } catch (cause) {
      if (cause instanceof InvalidArgumentError) program.error(`error: ${cause.message}`);
      if (!(cause instanceof MachineUnavailableError || cause instanceof MachineError)) throw cause;
      process.stderr.write(`${cause.message}\n`);
      if (cause instanceof MachineUnavailableError && cause.remedy) process.stderr.write(`try: ${cause.remedy}\n`);
      process.exitCode = 125;
    }
    // Standard input may still be open, and would keep this process.
    process.exit();
  });

await program.parseAsync();

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { DemoError } from "./errors.ts";

const MODELS = join(import.meta.dir, "../models");

export interface DemoOptions {
  /** A checkpoint's directory. */
  readonly model: string;
  readonly transport: string;
  readonly prefill: number;
  readonly decode: number;
  readonly prompt: string;
  readonly keep: boolean;
}

/** Reads the command line (without the runtime and the script). @throws {CommanderError | DemoError} */
export function parseOptions(argv: readonly string[]): DemoOptions {
  const command = new Command("demo")
    .description("Sends one prompt through a load balancer, a prefill and a decode server, and shows what it took.")
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .option("--model <name>", "kjv-llama-4m, kjv-deepseek-v3-4m, or a checkpoint's directory", "kjv-llama-4m")
    .option(
      "--transport <name>",
      "how the KV cache travels: auto, shm, cma, tcp, verbs, …, or several with commas",
      "auto",
    )
    .option("--prefill <count>", "prefill servers", count, 1)
    .option("--decode <count>", "decode servers", count, 1)
    .option("--prompt <text>", "what to go on from", "Let me tell you a lonnng story ")
    .option("--keep", "leave the servers running until Ctrl-C", false);
  command.parse(argv, { from: "user" });
  const options = command.opts<DemoOptions>();
  return { ...options, model: findModel(options.model) };
}

function findModel(model: string): string {
  const candidates = [join(MODELS, model), resolve(model)];
  const found = candidates.find((directory) => existsSync(join(directory, "config.json")));
  if (found !== undefined) return found;
  throw new DemoError("OPTION_INVALID", `--model: there is no config.json in ${candidates.join(" or ")}`);
}

function count(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 64) return value;
  throw new InvalidArgumentError("It takes a whole number from 1 to 64.");
}

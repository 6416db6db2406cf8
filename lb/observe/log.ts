import pino, { type Logger } from "pino";
import type { Options } from "../config/index.ts";

/** What must never be in a log. */
const REDACTED = [
  "apiKey",
  "*.apiKey",
  "authorization",
  "*.authorization",
  "adminKey",
  "workerApiKey",
  "options.prefill[*].apiKey",
  "options.decode[*].apiKey",
];

export type Log = Logger;

/** JSON lines on standard output; `--log-pretty` writes for people. */
export function createLog(options: Pick<Options, "logLevel" | "logPretty">): Log {
  const settings = { level: options.logLevel, base: null, timestamp: pino.stdTimeFunctions.isoTime, redact: REDACTED };
  return options.logPretty ? pino(settings, prettyStream()) : pino(settings);
}

const LEVELS: Readonly<Record<number, string>> = {
  10: "TRACE",
  20: "DEBUG",
  30: "INFO",
  40: "WARN",
  50: "ERROR",
  60: "FATAL",
};

function prettyStream(): { write: (line: string) => void } {
  return {
    write(line) {
      const { level, time, msg, ...rest } = JSON.parse(line) as { level: number; time: string; msg?: string };
      const details = Object.entries(rest).map(
        ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
      );
      process.stdout.write(`${time} ${LEVELS[level] ?? level} ${[msg, ...details].join(" ")}\n`);
    },
  };
}

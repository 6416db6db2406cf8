import { Machine } from "./machine.ts";

const [, , ...words] = process.argv;
const command = words[0] === "--" ? words.slice(1) : words;
const machine = await Machine.boot();
const child = machine.spawn(command.length === 1 ? command[0]! : command, {
  env: process.env,
  onStdout: (c) => process.stdout.write(c),
  onStderr: (c) => process.stderr.write(c),
});
child.end();
const code = await child.exited;
await machine.powerCut();
process.exit(code);

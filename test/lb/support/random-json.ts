import type { Random } from "./random.ts";

const KEYS = [
  "text",
  "input_ids",
  "sampling_params",
  "n",
  "stream",
  "rid",
  "bootstrap_room",
  "boot\\u0073trap_host",
  "",
  "ключ",
  'a\\"b',
  "__proto_",
  "model",
];
const NUMBERS = ["0", "-0", "1", "12", "-3.5", "1e5", "2E-7", "9007199254740993", "1.0", "0.1e+3"];
const STRINGS = [
  '""',
  '"a"',
  '"\\n\\t\\\\\\""',
  '"é ü"',
  '"\\ud83d\\ude00"',
  '"}{][,:"',
  '"日本語 😀"',
  '"\\u0041/\\/"',
];
const BLANKS = ["", "", "", " ", "\n", "\t ", "\r\n"];

function value(random: Random, depth: number): string {
  const roll = random.below(depth > 3 ? 5 : 9);
  if (roll === 0) return random.pick(["true", "false", "null"]);
  if (roll <= 2) return random.pick(NUMBERS);
  if (roll <= 4) return random.pick(STRINGS);
  const blank = random.pick(BLANKS);
  if (roll === 5) return `{${blank}${members(random, depth + 1)}${blank}}`;
  if (roll === 6)
    return `[${Array.from({ length: random.below(40) }, () => random.below(50_000)).join(random.pick([",", ", ", " , "]))}]`;
  return `[${blank}${Array.from({ length: random.below(4) }, () => value(random, depth + 1)).join(`${blank},`)}${blank}]`;
}

function members(random: Random, depth: number): string {
  return Array.from({ length: random.below(6) }, () => {
    const blank = random.pick(BLANKS);
    return `${blank}"${random.pick(KEYS)}"${blank}:${blank}${value(random, depth)}`;
  }).join(`${random.pick(BLANKS)},`);
}

/** A JSON object as clients write them, and as nobody does. */
export function randomBody(random: Random): string {
  const blank = random.pick(BLANKS);
  return `${blank}{${members(random, 0)}${blank}}${blank}`;
}

const NOISE = ['"', "\\", "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "t", " ", "\n", "\u0001", "\\u12"];

/** The same with one or two places damaged; sometimes still valid. */
export function mutate(random: Random, text: string): string {
  let changed = text;
  for (let i = 0; i <= random.below(2); i++) {
    const at = random.below(changed.length + 1);
    const cut = random.below(3);
    changed = changed.slice(0, at) + (random.below(3) > 0 ? random.pick(NOISE) : "") + changed.slice(at + cut);
  }
  return changed;
}

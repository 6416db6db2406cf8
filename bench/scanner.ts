/**
 * What it costs to find a body's top-level members, beside JSON.parse of the same 16 MiB: `bun run bench:scanner`.
 * Targets: one plain string in 2 ms; token ids and escaped text in at most half of JSON.parse's time.
 */
import { scanBody } from "../lb/request/index.ts";
import { interleaved, median, table } from "./table.ts";

const BODY_BYTES = 16 * 1024 * 1024;
const ROUNDS = 11;
const PLAIN_TARGET_MS = 2;
const RATIO_TARGET = 0.5;

/** A body of {@link BODY_BYTES} or a little more, whose one long value repeats `part`. */
function bodyOf(open: string, part: string, close: string): Buffer {
  return Buffer.from(open + part.repeat(Math.ceil(BODY_BYTES / part.length)) + close);
}

const bodies: Readonly<Record<string, Buffer>> = {
  "one plain string": bodyOf('{"text":"', "In the beginning God created the heaven and the earth. ", '"}'),
  "token ids": bodyOf('{"input_ids":[', "128000,644,279,7314,", "1]}"),
  "escaped text": bodyOf('{"text":"', String.raw`She said \"no\"\n\tand left; `, '"}'),
  "escapes by number": bodyOf('{"text":"', String.raw`sch\u00f6n und gr\u00fcn, `, '"}'),
};

function milliseconds(work: () => unknown): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

const rows = Object.entries(bodies).map(([name, body]) => {
  const text = body.toString();
  const times = interleaved(
    {
      scan: () => milliseconds(() => scanBody(body)),
      // What a load balancer has is bytes: this is what it would pay. The string alone is for comparison.
      parseBytes: () => milliseconds(() => JSON.parse(body.toString())),
      parse: () => milliseconds(() => JSON.parse(text)),
    },
    ROUNDS,
  );
  const [scan, parseBytes, parse] = [median(times.scan), median(times.parseBytes), median(times.parse)];
  const plain = name === "one plain string";
  const missed = plain ? scan > PLAIN_TARGET_MS : scan > RATIO_TARGET * parseBytes;
  return [
    name,
    scan.toFixed(2),
    parseBytes.toFixed(2),
    parse.toFixed(2),
    (scan / parseBytes).toFixed(2),
    (scan / parse).toFixed(2),
    plain ? `${PLAIN_TARGET_MS} ms` : `${RATIO_TARGET}`,
    missed ? "!" : "",
  ];
});
console.log(`milliseconds for a body of ${BODY_BYTES / 2 ** 20} MiB, medians of ${ROUNDS}`);
console.log(
  table(["body", "scan", "JSON.parse of bytes", "of a string", "ratio to bytes", "to a string", "target", ""], rows),
);

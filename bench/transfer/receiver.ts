/**
 * The receiving process: one pool in a memfd for shm, a private one for cma and tcp, an inbound end of each. Commands as
 * JSON lines on its input, one answer each. `bun receiver.ts HUGE`.
 */
import { readSync, writeSync } from "node:fs";
import { Mapping, yieldProcessor } from "../../ffi/libc/index.ts";
import type { InboundEnd } from "../../lib/transports/transport.ts";
import { openTransport } from "../../test/lib/transports/support/context.ts";
import { PollReactor } from "../../test/lib/transports/support/poll-reactor.ts";
import { POOL_BYTES } from "./cases.ts";

export type ReceiverCommand =
  { do: "open" | "zero" | "hash"; transport: string } | { do: "accept"; transport: string; endpoint: unknown };

const hugePages = process.argv[2] === "1";
const reactor = new PollReactor();
const shared = Mapping.allocate(POOL_BYTES, { shared: true, hugePages, populate: true });
const own = Mapping.allocate(POOL_BYTES, { hugePages, populate: true });
const ends = new Map<string, InboundEnd>();
const answer = (value: unknown): void => void writeSync(1, `${JSON.stringify(value)}\n`);

function execute(command: ReceiverCommand): void {
  const pool = command.transport === "shm" ? shared : own;
  switch (command.do) {
    case "open": {
      const buffers = [{ address: pool.address, byteLength: POOL_BYTES, ...(pool.share && { share: pool.share }) }];
      const transport = openTransport(command.transport, { role: "decode", reactor, buffers });
      const end: InboundEnd = transport.openInbound("sender", {
        connected: () => answer({ connected: true }),
        heard: () => {},
        arrived: (tag) => end.expect(tag),
        fenced: () => {},
        lost: ({ message }) => answer({ lost: message }),
      });
      end.expect(1);
      ends.set(command.transport, end);
      return answer({ offer: end.offer, address: pool.address });
    }
    case "accept":
      return ends.get(command.transport)!.accept(command.endpoint);
    case "zero":
      pool.bytes.fill(0);
      return answer({});
    case "hash":
      return answer({ hash: String(Bun.hash(pool.bytes)) });
  }
}

let input = "";
const chunk = new Uint8Array(65_536);
reactor.watch(0, { readable: true }, () => {
  const length = readSync(0, chunk);
  if (length === 0) process.exit(0);
  const lines = (input + new TextDecoder().decode(chunk.subarray(0, length))).split("\n");
  input = lines.pop()!;
  for (const line of lines) execute(JSON.parse(line) as ReceiverCommand);
});
// Like the progress thread: after the last progress it spins for a moment before it sleeps.
const SPIN_MS = 0.05;
for (let lastProgress = 0; ;) {
  const spinning = performance.now() - lastProgress < SPIN_MS;
  if (reactor.turn(spinning ? 0 : 1_000)) lastProgress = performance.now();
  else if (spinning) yieldProcessor();
}

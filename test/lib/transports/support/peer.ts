/**
 * One end of a pair in a process of its own: commands as JSON lines on its input, answers and events on its output.
 * `bun peer.ts ROLE TRANSPORT [drop]`; with `drop` it first becomes the user nobody.
 */
import { readSync, writeSync } from "node:fs";
import { libc } from "../../../../ffi/libc/index.ts";
import type { InboundEnd, OutboundEnd } from "../../../../lib/transports/transport.ts";
import { makePool, openTransport } from "./context.ts";
import { emptyPlan, planOf } from "./plans.ts";
import { PollReactor } from "./poll-reactor.ts";
import { POOL_BYTES } from "./pool-bytes.ts";

const NOBODY = 65_534;
const SYS_SETUID = process.arch === "arm64" ? 146 : 105;

export type PeerCommand =
  | { do: "open"; offer?: unknown; peerAddress?: number }
  | { do: "accept"; endpoint: unknown }
  | { do: "expect" | "revoke"; tag: number }
  /** Writes the whole pool for `tag`, filled with `value`, again and again until the batch fails. */
  | { do: "flood"; tag: number; value: number }
  | { do: "write"; tag: number; value: number; byteLength: number; at?: number }
  | { do: "confirm" | "sync" };

const [role, name, drop] = process.argv.slice(2);
if (role !== "prefill" && role !== "decode") throw new Error(`expected prefill or decode, not ${role}`);
if (drop === "drop" && Number(libc.syscall(SYS_SETUID, NOBODY, 0, 0, 0)) !== 0) throw new Error("setuid failed");

const say = (value: object): void => void writeSync(1, `${JSON.stringify(value)}\n`);
const reactor = new PollReactor();
const pool = makePool(POOL_BYTES, { populate: true });
const transport = openTransport(name!, { role, reactor, buffers: [pool.buffer] });
let inbound: InboundEnd | undefined;
let outbound: OutboundEnd | undefined;
const floods = new Set<number>();
let peerBase = 0;

function flood(tag: number): void {
  const destination = outbound!.destinationBases?.[0] ?? peerBase;
  outbound!.write({ tag, plan: planOf([{ source: pool.mapping.address, destination, byteLength: POOL_BYTES }]) });
}

function execute(command: PeerCommand): void {
  switch (command.do) {
    case "open":
      if (role === "decode") {
        inbound = transport.openInbound("parent", {
          connected: () => say({ event: "connected" }),
          heard: () => {},
          arrived: (tag) =>
            say({ event: "arrived", tag, first: pool.mapping.bytes[0], last: pool.mapping.bytes.at(-1) }),
          fenced: (tag) => say({ event: "fenced", tag }),
          lost: ({ code, status, message }) =>
            say({ event: "lost", code, status, message, unfenced: inbound!.unfenced }),
        });
        return say({ event: "opened", offer: inbound.offer, address: pool.mapping.address });
      }
      peerBase = command.peerAddress!;
      try {
        outbound = transport.openOutbound("parent", command.offer, {
          connected: () => say({ event: "connected", endpoint: outbound!.endpoint }),
          written: ({ tag }) => (floods.has(tag) ? flood(tag) : say({ event: "written", tag })),
          failed: ({ tag }, { code }) => say({ event: "failed", tag, code }),
          lost: ({ code, status, message }) => say({ event: "lost", code, status, message }),
        });
      } catch (error) {
        const { code, status, message } = error as { code?: string; status?: string; message: string };
        say({ event: "refused", code, status, message });
      }
      return;
    case "accept":
      return inbound!.accept(command.endpoint);
    case "expect":
      inbound!.expect(command.tag);
      return say({ event: "expecting", tag: command.tag });
    case "revoke":
      return say({ event: "revoked", tag: command.tag, now: inbound!.revoke(command.tag) });
    case "flood":
      pool.mapping.bytes.fill(command.value);
      floods.add(command.tag);
      return flood(command.tag);
    case "write": {
      pool.mapping.bytes.fill(command.value, 0, command.byteLength);
      const destination = (outbound!.destinationBases?.[0] ?? peerBase) + (command.at ?? 0);
      const plan = planOf([{ source: pool.mapping.address, destination, byteLength: command.byteLength }]);
      return outbound!.write({ tag: command.tag, plan, last: { aux: emptyPlan, totalBytes: command.byteLength } });
    }
    case "confirm":
      return outbound!.confirm();
    case "sync":
      return say({ event: "synced" });
  }
}

let input = "";
const chunk = new Uint8Array(65_536);
reactor.watch(0, { readable: true }, () => {
  const length = readSync(0, chunk);
  if (length === 0) process.exit(0);
  input += new TextDecoder().decode(chunk.subarray(0, length));
  const lines = input.split("\n");
  input = lines.pop()!;
  for (const line of lines) execute(JSON.parse(line) as PeerCommand);
});
say({ event: "started" });
for (;;) {
  const busy = outbound?.step(performance.now() + 1) ?? false;
  reactor.turn(busy ? 0 : 20);
}

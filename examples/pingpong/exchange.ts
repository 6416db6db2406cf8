import { describeAddress, exchangeAsClient, exchangeAsServer, type PeerAddress } from "./address-exchange.ts";
import { type Endpoint, SEND_ID } from "./endpoint.ts";
import type { PingPongOptions } from "./options.ts";

/** A peer that died leaves no completion: give up instead of waiting for ever. */
const SILENCE_MS = 60_000;

/** Random, so that packets of an earlier run are not taken for this one's. */
export function randomPacketSequence(): number {
  return Math.floor(Math.random() * 0x100_0000);
}

/** Tells both sides where the other is; `connect` readies the queue pair. */
export async function meet(
  { host, port }: PingPongOptions,
  own: PeerAddress,
  connect: (remote: PeerAddress) => void,
): Promise<PeerAddress> {
  console.log(`  local address:  ${describeAddress(own)}`);
  const remote = await (host === undefined ? exchangeAsServer(port, own, connect) : exchangeAsClient(host, port, own));
  console.log(`  remote address: ${describeAddress(remote)}`);
  if (host !== undefined) connect(remote);
  return remote;
}

/** Sends and receives until each side has done so `iterations` times; the client begins. */
function exchange(endpoint: Endpoint, options: PingPongOptions, post: () => void): void {
  const { completions, channel } = endpoint;
  const batch = completions.completions;
  let receivesPosted = options.receiveDepth;
  let [sent, received] = [0, 0];
  let [sendDone, receiveDone] = [options.host === undefined, false];
  if (options.host !== undefined) post();
  let lastProgress = performance.now();
  while (sent < options.iterations || received < options.iterations) {
    if (channel) {
      if (!channel.wait(SILENCE_MS)) throw new Error(`no completion for ${SILENCE_MS / 1000} s`);
      channel.takeEvent();
      completions.requestNotification();
    }
    const count = completions.poll();
    if (count > 0) lastProgress = performance.now();
    else if (!channel && performance.now() - lastProgress > SILENCE_MS) {
      throw new Error(`no completion for ${SILENCE_MS / 1000} s`);
    }
    for (let index = 0; index < count; index++) {
      batch.requireSuccess(index);
      if (batch.workRequestId(index) === SEND_ID) {
        sent++;
        sendDone = true;
      } else {
        received++;
        receiveDone = true;
        if (--receivesPosted <= 1) {
          endpoint.postReceives(options.receiveDepth - receivesPosted);
          receivesPosted = options.receiveDepth;
        }
      }
      if (sent < options.iterations && sendDone && receiveDone) {
        post();
        sendDone = false;
        receiveDone = false;
      }
    }
  }
}

/**
 * Runs the exchange and prints what the C tools print.
 * @returns the exit code: 1 where the contents were asked to be checked and are wrong.
 */
export function run(endpoint: Endpoint, options: PingPongOptions, post: () => void): number {
  if (options.check && options.host !== undefined) endpoint.writePattern();
  const start = performance.now();
  exchange(endpoint, options, post);
  const microseconds = (performance.now() - start) * 1000;
  const bytes = options.size * options.iterations * 2;
  const seconds = (microseconds / 1e6).toFixed(2);
  console.log(`${bytes} bytes in ${seconds} seconds = ${((bytes * 8) / microseconds).toFixed(2)} Mbit/sec`);
  const each = (microseconds / options.iterations).toFixed(2);
  console.log(`${options.iterations} iters in ${seconds} seconds = ${each} usec/iter`);
  const wrong = options.check ? endpoint.wrongPages() : [];
  for (const page of wrong) console.log(`invalid data in page ${page}`);
  return wrong.length > 0 ? 1 : 0;
}

/** Runs a tool; what goes wrong is one line on stderr and exit code 1. */
export async function runTool(tool: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await tool();
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
  }
}

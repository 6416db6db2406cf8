/** A decode end, and sockets by which somebody who is no kvwire sender speaks to it. */
import { expect } from "bun:test";
import { type TcpSocket, type UnixSocket, WOULD_BLOCK } from "../../../../ffi/libc/index.ts";
import { NativeBuffer } from "../../../../ffi/runtime/index.ts";
import type { InboundEnd } from "../../../../lib/transports/transport.ts";
import { makePool, openTransport } from "./context.ts";
import { InboundLog } from "./pair.ts";
import { PollReactor } from "./poll-reactor.ts";

const KiB = 1024;
export const NONCE = "0123456789abcdef0123456789abcdef";
export const into = NativeBuffer.allocate(64 * KiB);

export interface Receiver {
  readonly inbound: InboundEnd;
  readonly log: InboundLog;
  readonly bytes: Uint8Array;
  readonly address: number;
  readonly turn: () => void;
  [Symbol.dispose](): void;
}

/** A decode end that lets room tag 1 write to the first 32 KiB of 64. */
export function receiver(name: string): Receiver {
  const reactor = new PollReactor();
  const { mapping, buffer } = makePool(64 * KiB);
  const mayWrite = (tag: number, address: number, byteLength: number): boolean =>
    tag === 1 && address >= mapping.address && address + byteLength <= mapping.address + 32 * KiB;
  const transport = openTransport(name, { role: "decode", reactor, buffers: [buffer], mayWrite });
  const log = new InboundLog();
  const inbound = transport.openInbound("stranger", log);
  return {
    inbound,
    log,
    bytes: mapping.bytes,
    address: mapping.address,
    turn: () => reactor.turn(1),
    [Symbol.dispose]() {
      transport.close();
      mapping.close();
    },
  };
}

export function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

export function send(socket: TcpSocket | UnixSocket, ...parts: Uint8Array[]): void {
  const bytes = Buffer.concat(parts);
  const buffer = NativeBuffer.allocate(bytes.length);
  buffer.bytes.set(bytes);
  expect(socket.send(buffer.address, buffer.byteLength)).toBe(bytes.length);
}

/** Whether the other end has closed, by now. */
export function ended(socket: TcpSocket | UnixSocket): boolean {
  try {
    for (;;) {
      const got = socket.receive(into.address, into.byteLength);
      if (got === WOULD_BLOCK) return false;
      if (got === 0) return true;
    }
  } catch {
    return true;
  }
}

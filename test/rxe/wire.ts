/**
 * The frames that cross the virtio-serial port between the host and the guest program in the virtual machine:
 * kind u8, command id u32, payload length u32 (both little-endian), payload.
 * @module
 */

export const FrameKind = {
  /** guest → host, id 0: the machine is set up. Payload: what the set-up complained of, empty when all went well. */
  ready: 1,
  /** host → guest: start a command. Payload: JSON of `RunRequest`. */
  run: 2,
  /** host → guest: bytes for the command's standard input; an empty payload closes it. */
  stdin: 3,
  /** host → guest: a signal for the command's process group. Payload: its name, "SIGTERM". */
  signal: 4,
  /** host → guest: JSON of `TerminalSize`. */
  resize: 5,
  /** guest → host. */
  stdout: 6,
  /** guest → host. */
  stderr: 7,
  /** guest → host: the command ended and its output was sent. Payload: JSON of `ExitReport`. */
  exit: 8,
  /** host → guest, id 0: power off. */
  powerOff: 9,
} as const;

export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface RunRequest {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Present: the command gets a terminal of this size, and its output comes as `stdout` frames. */
  readonly terminal?: TerminalSize;
}

export interface ExitReport {
  /** The exit code; 128 + the signal's number for a command that a signal ended, as shells have it. */
  readonly code: number;
  /** Why the command could not be started. */
  readonly error?: string;
}

export interface Frame {
  readonly kind: number;
  readonly id: number;
  readonly payload: Uint8Array;
}

const headerBytes = 9;

export function encodeFrame(kind: FrameKind, id: number, payload: Uint8Array | string = ""): Uint8Array {
  const body = typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
  const frame = new Uint8Array(headerBytes + body.length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, id, true);
  view.setUint32(5, body.length, true);
  frame.set(body, headerBytes);
  return frame;
}

/** Cuts a byte stream into frames; what is incomplete waits for the next bytes. */
export class FrameReader {
  #pending: Uint8Array = new Uint8Array(0);

  *push(chunk: Uint8Array): Generator<Frame> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    while (this.#pending.length >= headerBytes) {
      const view = new DataView(this.#pending.buffer, this.#pending.byteOffset, this.#pending.byteLength);
      const end = headerBytes + view.getUint32(5, true);
      if (this.#pending.length < end) return;
      const payload = this.#pending.slice(headerBytes, end);
      this.#pending = this.#pending.subarray(end);
      yield { kind: view.getUint8(0), id: view.getUint32(1, true), payload };
    }
  }
}

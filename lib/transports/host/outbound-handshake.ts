import { NativeBuffer } from "../../../ffi/runtime/index.ts";
import type { KVTransferError } from "../../errors.ts";
import { type PairErrors, randomToken } from "../pairs/index.ts";
import { FrameType, PROTOCOL_VERSION, proofSchema, refusalSchema } from "./frames.ts";
import type { PageWriter, PageWriterFactory } from "./page-writer.ts";
import type { PairSocket } from "./pair-socket.ts";
import { ReceivedWelcome } from "./welcome.ts";

const probe = NativeBuffer.allocate(16);

/** The sender's part of the handshake: hello, welcome, a probe written into the receiver's memory, its proof. */
export class OutboundHandshake {
  readonly nonce = randomToken();
  readonly #probe = randomToken();
  readonly #errors: PairErrors;
  readonly #writers: PageWriterFactory;
  readonly #receiverPid: number;
  readonly #welcome = new ReceivedWelcome();
  #writer: PageWriter | undefined;

  constructor(errors: PairErrors, writers: PageWriterFactory, receiverPid: number) {
    this.#errors = errors;
    this.#writers = writers;
    this.#receiverPid = receiverPid;
  }

  begin(socket: PairSocket, transport: string, token: string): void {
    socket.sendMessage(FrameType.HELLO, { version: PROTOCOL_VERSION, transport, token, nonce: this.nonce });
  }

  /** Takes the receiver's next message; gives the writer once it is proven. Throws KVTransferError. */
  receive(socket: PairSocket, type: number, value: unknown, descriptors: readonly number[]): PageWriter | undefined {
    if (type === FrameType.REFUSED) throw this.#refusal(value);
    if (type === FrameType.WELCOME && !this.#writer) {
      this.#welcome.add(value, descriptors, this.nonce, this.#errors);
      if (this.#welcome.complete) this.#writeProbe(socket);
      return undefined;
    }
    if (type === FrameType.PROOF && this.#writer) return this.#checkProof(value, this.#writer);
    throw this.#errors.protocol("receive", `unexpected message of type ${type}`);
  }

  /** Gives up what came of it; a writer that was given is its taker's. */
  close(): void {
    this.#welcome.close();
    this.#writer?.close();
    this.#writer = undefined;
  }

  #writeProbe(socket: PairSocket): void {
    try {
      this.#writer = this.#writers.open(this.#receiverPid, this.#welcome.regions);
      this.#welcome.close();
      probe.bytes.set(Uint8Array.fromHex(this.#probe));
      this.#writer.writeScratch(probe.address, probe.byteLength);
    } catch (error) {
      throw this.#errors.unusable("connect", `its memory cannot be written from here: ${String(error)}`, error);
    }
    socket.send(FrameType.PROBE);
  }

  #checkProof(value: unknown, writer: PageWriter): PageWriter {
    const { found } = this.#errors.parse(proofSchema, value, "connect");
    if (found !== this.#probe) {
      throw this.#errors.unusable("connect", "what was written into its memory did not arrive there");
    }
    this.#writer = undefined;
    return writer;
  }

  #refusal(value: unknown): KVTransferError {
    const { reason, status } = this.#errors.parse(refusalSchema, value, "connect");
    const cause = status && Object.assign(new Error(reason), { code: status });
    return this.#errors.unusable("connect", `refused: ${reason}`, cause);
  }
}

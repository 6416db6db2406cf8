import type { Subprocess } from "bun";
import type { PeerCommand, PeerStart } from "./peer.ts";

type Answer = { readonly [key: string]: unknown; readonly error?: string };

class PeerProcess {
  readonly #child: Subprocess<"ignore", "inherit", "inherit">;
  readonly #answers: Answer[] = [];
  #wake: (() => void) | undefined;

  constructor(start: PeerStart) {
    this.#child = Bun.spawn([process.execPath, `${import.meta.dir}/peer.ts`, JSON.stringify(start)], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
      ipc: (answer: Answer) => {
        this.#answers.push(answer);
        this.#wake?.();
      },
      onExit: () => {
        this.#answers.push({ error: `the ${start.role} process has ended` });
        this.#wake?.();
      },
    });
  }

  async ask(command: PeerCommand): Promise<Answer> {
    this.#child.send(command);
    return this.answer();
  }

  async answer(): Promise<Answer> {
    while (this.#answers.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve));
    const answer = this.#answers.shift()!;
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }
}

/** A prefill and a decode process with a pool each. */
export class BenchPair implements AsyncDisposable {
  readonly #prefill: PeerProcess;
  readonly #decode: PeerProcess;
  readonly #address: string;
  #room = 0;

  private constructor(prefill: PeerProcess, decode: PeerProcess, address: string) {
    this.#prefill = prefill;
    this.#decode = decode;
    this.#address = address;
  }

  static async start(gpus: readonly [number, number], rest: Omit<PeerStart, "role" | "gpu">): Promise<BenchPair> {
    const prefill = new PeerProcess({ ...rest, role: "prefill", gpu: gpus[0] });
    const decode = new PeerProcess({ ...rest, role: "decode", gpu: gpus[1] });
    try {
      const { address } = await prefill.answer();
      await decode.answer();
      await prefill.ask({ do: "randomize" });
      return new BenchPair(prefill, decode, address as string);
    } catch (error) {
      await Promise.all([prefill.end(), decode.end()]);
      throw error;
    }
  }

  /** A whole room: seconds of its transfer, and from the receiver's call to its success. */
  async room(from: readonly number[], to: readonly number[]): Promise<{ transferS: number; wholeS: number }> {
    const room = ++this.#room;
    await this.#prefill.ask({ do: "offer", room, pages: from });
    const { seconds: wholeS } = await this.#decode.ask({ do: "take", room, pages: to, address: this.#address });
    const { seconds: transferS } = await this.#prefill.ask({ do: "latency", room });
    return { transferS: transferS as number, wholeS: wholeS as number };
  }

  /** A room into zeroed pages, whose checksums must be those of the pages it came from. */
  async verify(from: readonly number[], to: readonly number[]): Promise<void> {
    await this.#decode.ask({ do: "zero" });
    await this.room(from, to);
    const { checksum: sent } = await this.#prefill.ask({ do: "checksum", pages: from });
    const { checksum: landed } = await this.#decode.ask({ do: "checksum", pages: to });
    if (sent !== landed) throw new Error("the pages that landed are not those that were sent");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#prefill.end(), this.#decode.end()]);
  }
}

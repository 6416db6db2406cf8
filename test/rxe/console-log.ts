import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tailBytes = 16_384;

/** What a machine's kernel and QEMU itself write: a file without a name, which nothing has to clean up. */
export class ConsoleLog {
  /** Opened for appending: QEMU opens it once more through /dev/stderr, and both append. */
  readonly descriptor: number;
  #closed: string | undefined;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), "kvwire-console-"));
    this.descriptor = openSync(join(folder, "log"), "a+");
    rmSync(folder, { recursive: true });
  }

  /** Its last lines, and those before since the kernel panicked, if it did; they can be read after `close`, too. */
  tail(lines: number): string {
    const all = (this.#closed ?? this.#read()).trimEnd().split("\n");
    const panic = all.findLastIndex((line) => line.includes("Kernel panic"));
    return all.slice(Math.max(0, panic < 0 ? all.length - lines : Math.min(panic, all.length - lines))).join("\n");
  }

  close(): void {
    if (this.#closed !== undefined) return;
    this.#closed = this.#read();
    closeSync(this.descriptor);
  }

  #read(): string {
    const size = fstatSync(this.descriptor).size;
    const bytes = Buffer.alloc(Math.min(size, tailBytes));
    const read = readSync(this.descriptor, bytes, 0, bytes.length, size - bytes.length);
    return bytes.toString("utf8", 0, read);
  }
}

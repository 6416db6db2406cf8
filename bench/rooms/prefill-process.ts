/** The other process of bench/rooms.ts: `prefill.ts`, told what to do by its standard input. */
export class PrefillProcess {
  readonly #process;
  readonly #lines = new Map<string, (line: string) => void>();

  constructor(transport: string, pageBytes: number, pages: number) {
    const args = [transport, String(pageBytes), String(pages)];
    this.#process = Bun.spawn([process.execPath, `${import.meta.dir}/prefill.ts`, ...args], {
      stdin: "pipe",
      stdout: "pipe",
    });
    void this.#read();
  }

  /** The next line that begins with those two words, or its first. */
  hear(key: string): Promise<string> {
    return new Promise((resolve) => this.#lines.set(key, resolve));
  }

  /** Has a sender made for the room, all of whose pages are given. */
  async open(room: number, pages: number): Promise<void> {
    const ready = this.hear(`ready ${room}`);
    this.#process.stdin.write(`${room} ${pages}\n`);
    await this.#process.stdin.flush();
    await ready;
  }

  close(): void {
    this.#process.kill();
  }

  async #read(): Promise<void> {
    let rest = "";
    for await (const chunk of this.#process.stdout) {
      rest += new TextDecoder().decode(chunk);
      for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
        const line = rest.slice(0, end);
        rest = rest.slice(end + 1);
        const key = line.includes(" ") ? line.split(" ").slice(0, 2).join(" ") : "address";
        this.#lines.get(key)?.(line);
      }
    }
  }
}

import { PollEvent, PollSet } from "../../../../ffi/libc/index.ts";
import type { Reactor, Readiness, Watch } from "../../../../lib/transports/transport.ts";

interface Entry {
  readonly fd: number;
  readable: boolean;
  writable: boolean;
  open: boolean;
  readonly onReady: (ready: Readiness) => void;
}

/** The progress thread's poll set, small: poll(2) over the watches, one turn at a time. */
export class PollReactor implements Reactor {
  readonly #entries = new Set<Entry>();
  readonly #set = new PollSet();

  get watches(): number {
    return this.#entries.size;
  }

  watch(fd: number, interest: { readable?: boolean; writable?: boolean }, onReady: (ready: Readiness) => void): Watch {
    const entry: Entry = { fd, readable: false, writable: false, open: true, onReady, ...interest };
    this.#entries.add(entry);
    return {
      update: ({ readable = false, writable = false }) => {
        entry.readable = readable;
        entry.writable = writable;
      },
      close: () => {
        entry.open = false;
        this.#entries.delete(entry);
      },
    };
  }

  /** Waits up to `timeoutMs` for something to be ready and calls who asked for it. False: nothing was. */
  turn(timeoutMs: number): boolean {
    const entries = [...this.#entries];
    this.#set.clear();
    for (const { fd, readable, writable } of entries) this.#set.add(fd, readable, writable);
    if (this.#set.wait(timeoutMs) === 0) return false;
    for (const [index, entry] of entries.entries()) {
      const events = this.#set.readyEvents(index);
      if (events === 0 || !entry.open) continue;
      entry.onReady({
        readable: (events & PollEvent.IN) !== 0 && entry.readable,
        writable: (events & PollEvent.OUT) !== 0 && entry.writable,
        failed: (events & (PollEvent.ERR | PollEvent.HUP)) !== 0,
      });
    }
    return true;
  }
}

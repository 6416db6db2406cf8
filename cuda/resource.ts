import { CudaUsageError } from "./errors.ts";

/** Something that finishes work in order: a stream. */
export interface WorkOrder {
  /** Runs `action` once everything submitted so far has finished; at once if it has. */
  whenIdle(action: () => void): void;
}

/** The living children of a native object: closed before it, the last made first. */
export class Children {
  readonly #living = new Set<Disposable>();

  add(child: Disposable): void {
    this.#living.add(child);
  }

  delete(child: Disposable): void {
    this.#living.delete(child);
  }

  get size(): number {
    return this.#living.size;
  }

  closeAll(): void {
    for (const child of [...this.#living].reverse()) child[Symbol.dispose]();
  }
}

/**
 * A native object that streams may be using. `close()` ends its use at once, but gives it back to the library only when
 * every stream that was told of it (`usedOn`) has passed the work submitted until then.
 */
export abstract class Resource implements Disposable {
  readonly #siblings: Children;
  readonly #users = new Set<WorkOrder>();
  #closed = false;

  protected constructor(siblings: Children) {
    this.#siblings = siblings;
    siblings.add(this);
  }

  /** Gives the object back to the library. Called once. */
  protected abstract release(): void;

  get closed(): boolean {
    return this.#closed;
  }

  /** Work that was submitted to `order`, or is about to be, uses this. */
  usedOn(order: WorkOrder): void {
    this.assertOpen();
    this.#users.add(order);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#siblings.delete(this);
    let busy = this.#users.size;
    if (busy === 0) return this.release();
    for (const order of this.#users) {
      order.whenIdle(() => {
        if (--busy === 0) this.release();
      });
    }
    this.#users.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  protected assertOpen(): void {
    if (this.#closed) throw new CudaUsageError("CUDA_CLOSED", `${this.constructor.name} is closed`);
  }
}

import type { Address } from "../runtime/index.ts";
import { VerbsUserError } from "./errors.ts";

/**
 * The native side of a resource. It does not know its wrapper, so that a forgotten wrapper can be collected and reported
 * while the parent can still close what it stood for.
 */
class Handle {
  readonly kind: string;
  readonly address: Address;
  #parents: readonly Handle[] = [];
  readonly #children = new Set<Handle>();
  readonly #destroy: () => void;
  /** What must stay alive as long as the native object does, such as registered memory. */
  retained: unknown;
  closed = false;

  constructor(kind: string, address: Address, parents: readonly Handle[], destroy: () => void, retained: unknown) {
    this.kind = kind;
    this.address = address;
    this.#destroy = destroy;
    this.retained = retained;
    this.reparent(parents);
  }

  reparent(parents: readonly Handle[]): void {
    for (const parent of this.#parents) parent.#children.delete(this);
    this.#parents = parents;
    for (const parent of parents) parent.#children.add(this);
  }

  close(): void {
    if (this.closed) return;
    // The youngest first: a child may have been made with the help of an older one.
    for (const child of [...this.#children].reverse()) child.close();
    this.#destroy();
    this.closed = true;
    this.retained = undefined;
    this.reparent([]);
    forgotten.unregister(this);
    live.delete(this.address);
  }
}

export interface Leak {
  /** What was forgotten, such as "queue pair". */
  readonly kind: string;
}

let leakListener: (leak: Leak) => void = ({ kind }) => {
  process.emitWarning(`a ${kind} was garbage collected without close(); it stays open until its parent closes`, {
    type: "VerbsLeakWarning",
    code: "VERBS_LEAK",
  });
};

/**
 * Replaces what is done with a resource that was collected without close(); by default it is a process warning.
 * @returns what was done before.
 */
export function onLeak(listener: (leak: Leak) => void): (leak: Leak) => void {
  const before = leakListener;
  leakListener = listener;
  return before;
}

const forgotten = new FinalizationRegistry<Handle>((handle) => {
  if (!handle.closed) leakListener({ kind: handle.kind });
});

/** Wrappers by native address, for events that name an object by its pointer. */
const live = new Map<Address, WeakRef<Resource>>();

export interface ResourceOrigin {
  readonly kind: string;
  readonly address: Address;
  /** Closing any of them closes this one first. */
  readonly parents: readonly Resource[];
  /** Frees the native object; must not refer to the wrapper. */
  readonly destroy: () => void;
  readonly retained?: unknown;
}

/**
 * A native object: made by its parent, keeps its parents alive, closes once. Closing a parent closes its living children
 * first. Using a closed one throws a VerbsUserError "CLOSED".
 */
export abstract class Resource {
  readonly #handle: Handle;

  protected constructor({ kind, address, parents, destroy, retained }: ResourceOrigin) {
    const handles = parents.map((parent) => parent.#handle);
    this.#handle = new Handle(kind, address, handles, destroy, retained);
    forgotten.register(this, this.#handle, this.#handle);
    live.set(address, new WeakRef(this));
  }

  get closed(): boolean {
    return this.#handle.closed;
  }

  /** What it is called in messages. */
  get kind(): string {
    return this.#handle.kind;
  }

  /** The C object, for code that calls verbs itself. Valid until close(). */
  get unsafeAddress(): Address {
    this.requireOpen();
    return this.#handle.address;
  }

  /** @throws {VerbsUserError} "CLOSED" */
  requireOpen(): void {
    if (this.#handle.closed) throw new VerbsUserError("CLOSED", `this ${this.#handle.kind} is closed`);
  }

  /**
   * Frees the native object, after its children. Twice is harmless.
   * @throws {VerbsError} where the library refuses; the resource then stays open.
   */
  close(): void {
    this.#handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** From now on closing these, instead of the parents so far, closes this one first. */
  protected reparent(parents: readonly Resource[]): void {
    this.#handle.reparent(parents.map((parent) => parent.#handle));
  }

  /** Keeps something else alive than what the constructor was given. */
  protected retain(value: unknown): void {
    this.#handle.retained = value;
  }
}

/** The living wrapper of a native object, if it has one. */
export function resourceAt(address: Address): Resource | undefined {
  return live.get(address)?.deref();
}

/** Rejects null and objects of another class with a message, before native code sees them. */
export function requireResource<T extends Resource>(
  value: unknown,
  type: { readonly prototype: T; readonly name: string },
  role: string,
): asserts value is T {
  // Spelt out because the classes' constructors are private.
  if (!Object.prototype.isPrototypeOf.call(type.prototype, value as object)) {
    throw new VerbsUserError("INVALID_ARGUMENT", `${role} must be a ${type.name}, not ${describe(value)}`);
  }
}

/** Rejects an object that belongs to another parent than the one that is about to use it. */
export function requireSame(expected: Resource, actual: Resource, what: string): void {
  if (expected !== actual) {
    throw new VerbsUserError("FOREIGN_OBJECT", `the ${what} belongs to another ${expected.kind}`);
  }
}

function describe(value: unknown): string {
  if (value === null || typeof value !== "object") return String(value);
  return `a ${value.constructor.name}`;
}

/** Rejects what is not an integer between the bounds. */
export function requireInteger(value: number, name: string, minimum: number, maximum: number): number {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new VerbsUserError(
      "INVALID_ARGUMENT",
      `${name} must be an integer from ${minimum} to ${maximum}, not ${value}`,
    );
  }
  return value;
}

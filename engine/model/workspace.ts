/** Named scratch arrays that grow and are used again: layers run one after the other and share them. */
export class Workspace {
  readonly #arrays = new Map<string, Float32Array>();

  /** At least `length` elements with whatever they last held. Another call with the same name may give the same array. */
  floats(name: string, length: number): Float32Array {
    const held = this.#arrays.get(name);
    if (held !== undefined && held.length >= length) return held;
    const grown = new Float32Array(Math.ceil(length * 1.25));
    this.#arrays.set(name, grown);
    return grown;
  }
}

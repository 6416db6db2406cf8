/** What one buffer of the cache holds. A latent buffer serves as keys and values at once. */
export type KvBufferKind = "key" | "value" | "latent";

/** Elements that a token has in each buffer of one layer; every layer is alike. */
export interface KvLayout {
  readonly layers: number;
  /** Heads per token in the cache; 1 for a latent cache. */
  readonly heads: number;
  /** One buffer per kind and layer. */
  readonly buffers: readonly { readonly kind: KvBufferKind; readonly tokenSize: number }[];
}

/** Bytes that one token takes in the whole cache. */
export function bytesPerToken(layout: KvLayout): number {
  const elements = layout.buffers.reduce((sum, buffer) => sum + buffer.tokenSize, 0);
  return elements * layout.layers * Float32Array.BYTES_PER_ELEMENT;
}

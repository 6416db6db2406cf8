import type { KVLayout } from "./layout.ts";

export interface LatentPool {
  readonly address: number;
  readonly pages: number;
  readonly pageBytes: number;
  readonly auxSlots: number;
  readonly auxBytes: number;
}

/** The simplest pool there is: one rank's latents of one layer in pages of one token, the aux slots right behind them. */
export function latentLayout({ address, pages, pageBytes, auxSlots, auxBytes }: LatentPool): KVLayout {
  const length = pages * pageBytes;
  return {
    pageSize: 1,
    attention: "mla",
    totalKvHeads: 1,
    kvHeads: 1,
    tpRank: 0,
    tpSize: 1,
    ppRank: 0,
    ppSize: 1,
    firstLayer: 0,
    lastLayer: 1,
    dtype: "uint8",
    buffers: [{ kind: "latent", layer: 0, address, length, itemBytes: pageBytes }],
    aux: [{ address: address + length, length: auxSlots * auxBytes, itemBytes: auxBytes }],
  };
}

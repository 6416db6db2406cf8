import { type KVLayout, poolCapacity } from "../planner/index.ts";
import type { RoomTag } from "../transports/transport.ts";

interface Extent {
  readonly address: number;
  readonly itemBytes: number;
  readonly count: number;
  readonly owners: Uint32Array;
}

/**
 * Which live room each page and aux slot of a decode's pool belongs to, so that no other room's write is placed there.
 * Lists may be long and other rooms wait: plain loops, which cost a tenth of iterators before they are compiled.
 */
export class PageOwners {
  readonly #pages: Uint32Array;
  readonly #aux: Uint32Array;
  /** By address. */
  readonly #extents: readonly Extent[];

  constructor(layout: KVLayout) {
    const { pages, auxSlots } = poolCapacity(layout);
    this.#pages = new Uint32Array(pages);
    this.#aux = new Uint32Array(auxSlots);
    this.#extents = [
      ...layout.buffers.map((one) => ({ ...one, count: this.#pages.length, owners: this.#pages })),
      ...layout.aux.map((one) => ({ ...one, count: this.#aux.length, owners: this.#aux })),
    ].toSorted((a, b) => a.address - b.address);
  }

  get pageCount(): number {
    return this.#pages.length;
  }

  get auxCount(): number {
    return this.#aux.length;
  }

  /** What of it a room that has not been released has already; undefined where all is free. */
  taken(pages: Int32Array, auxIndex: number): string | undefined {
    const owners = this.#pages;
    for (let i = 0; i < pages.length; i++) if (owners[pages[i]!] !== 0) return `page ${pages[i]}`;
    return this.#aux[auxIndex] ? `aux slot ${auxIndex}` : undefined;
  }

  assign(tag: RoomTag, pages: Int32Array, auxIndex: number): void {
    const owners = this.#pages;
    for (let i = 0; i < pages.length; i++) owners[pages[i]!] = tag;
    this.#aux[auxIndex] = tag;
  }

  /** Only what still is the room's: another may own some of it by now. */
  unassign(tag: RoomTag, pages: Int32Array, auxIndex: number): void {
    const owners = this.#pages;
    for (let i = 0; i < pages.length; i++) if (owners[pages[i]!] === tag) owners[pages[i]!] = 0;
    if (this.#aux[auxIndex] === tag) this.#aux[auxIndex] = 0;
  }

  owns(tag: RoomTag, address: number, byteLength: number): boolean {
    const extent = this.#extentAt(address);
    if (!extent || byteLength <= 0) return false;
    const first = Math.floor((address - extent.address) / extent.itemBytes);
    const last = Math.floor((address + byteLength - 1 - extent.address) / extent.itemBytes);
    if (last >= extent.count) return false;
    for (let item = first; item <= last; item++) if (extent.owners[item] !== tag) return false;
    return true;
  }

  #extentAt(address: number): Extent | undefined {
    let low = 0;
    let high = this.#extents.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const extent = this.#extents[middle]!;
      if (address < extent.address) high = middle - 1;
      else if (address >= extent.address + extent.itemBytes * extent.count) low = middle + 1;
      else return extent;
    }
    return undefined;
  }
}

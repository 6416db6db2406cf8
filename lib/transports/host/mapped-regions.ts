import { Mapping, PAGE_BYTES } from "../../../ffi/libc/index.ts";
import type { GrantedRegion } from "./page-writer.ts";

/** Bytes of page tables filled in one call while there is nothing to write: a room that comes waits for it. */
const PREPARE_BYTES = 1024 * 1024;

/** The receiver's memfds, mapped here. */
export class MappedRegions {
  /** Where each region begins. */
  readonly bases: readonly number[];
  readonly #mappings: Mapping[] = [];
  #preparing = 0;
  #prepared = 0;

  /** Throws where a region stands in no memfd, or not inside it. */
  constructor(regions: readonly GrantedRegion[]) {
    this.bases = this.#mapAll(regions);
  }

  /**
   * Fills the page tables, so that the first room does not pay a fault for every page. Only where the receiver has its
   * memory already: a pool that it has not touched is not for us to allocate.
   */
  prepare(): boolean {
    for (; this.#preparing < this.#mappings.length; this.#preparing++, this.#prepared = 0) {
      const mapping = this.#mappings[this.#preparing]!;
      if (this.#prepared === 0 && !mapping.isBacked) continue;
      const left = mapping.byteLength - this.#prepared;
      if (left <= 0) continue;
      const part = Math.min(left, PREPARE_BYTES);
      if (!mapping.populate(this.#prepared, part)) continue;
      this.#prepared += part;
      return true;
    }
    return false;
  }

  close(): void {
    for (const mapping of this.#mappings) mapping.close();
  }

  /** One mapping for all that stands in one memfd; gives where each region begins. */
  #mapAll(regions: readonly GrantedRegion[]): number[] {
    const byDescriptor = new Map<number, { from: number; to: number; mapping?: Mapping }>();
    for (const { fd, share, address, byteLength } of regions) {
      if (fd === undefined || !share) throw new Error(`the receiver's buffer at ${address} stands in no memfd`);
      const from = share.offset - (share.offset % PAGE_BYTES);
      const span = byDescriptor.get(fd);
      if (!span) byDescriptor.set(fd, { from, to: share.offset + byteLength });
      else {
        span.from = Math.min(span.from, from);
        span.to = Math.max(span.to, share.offset + byteLength);
      }
    }
    try {
      for (const [fd, span] of byDescriptor) {
        span.mapping = Mapping.ofFd(fd, span.from, span.to - span.from);
        this.#mappings.push(span.mapping);
      }
    } catch (error) {
      this.close();
      throw error;
    }
    return regions.map(({ fd, share }) => {
      const { mapping, from } = byDescriptor.get(fd!)!;
      return mapping!.address + share!.offset - from;
    });
  }
}

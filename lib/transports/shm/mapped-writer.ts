import { unsafeCopy } from "../../../ffi/libc/index.ts";
import { CopyingWriter, type GrantedRegion, MappedRegions } from "../host/index.ts";

/** Copies into the receiver's memfds, mapped here. */
export class MappedWriter extends CopyingWriter {
  readonly destinationBases: Float64Array;
  readonly scratch: number;
  readonly #regions: MappedRegions;

  private constructor(regions: MappedRegions) {
    super();
    this.#regions = regions;
    this.scratch = regions.bases[0]!;
    this.destinationBases = Float64Array.from(regions.bases.slice(1));
  }

  /** Throws where a region stands in no memfd, or not inside it. */
  static open(regions: readonly GrantedRegion[]): MappedWriter {
    return new MappedWriter(new MappedRegions(regions));
  }

  add(source: number, destination: number, byteLength: number): boolean {
    unsafeCopy(destination, source, byteLength);
    return true;
  }

  protected flush(): void {}

  prepare(): boolean {
    return this.#regions.prepare();
  }

  close(): void {
    this.#regions.close();
  }
}

import type { SegmentSink } from "../pairs/index.ts";
import type { Region } from "./frames.ts";

/** How the sender reaches the receiver's memory: the only thing that differs between shm and cma. */
export interface PageWriter extends SegmentSink {
  /** Where each of the receiver's buffers stands seen from here; undefined: at the receiver's own addresses. */
  readonly destinationBases: Float64Array | undefined;
  /** Where the scratch place of the handshake stands. */
  readonly scratch: number;
  /** Everything added is in place when this returns. Throws LibcError. */
  flush(): void;
  /** Work that makes later writes faster, for when there is nothing to write. True: there is more of it. */
  prepare(): boolean;
  close(): void;
}

/** A region as it came, with the descriptor that was handed over for it. */
export interface GrantedRegion extends Region {
  readonly fd?: number;
}

export interface PageWriterFactory {
  /** `regions[0]` is the scratch place. The descriptors are closed by the caller afterwards. */
  open(receiverPid: number, regions: readonly GrantedRegion[]): PageWriter;
}

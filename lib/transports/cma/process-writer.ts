import { ProcessMemory } from "../../../ffi/libc/index.ts";
import { CopyingWriter, type GrantedRegion } from "../host/index.ts";

const LONG_TURN_BYTES = 1024 * 1024;

/** Writes pages with process_vm_writev, at the receiver's own addresses. */
export class ProcessWriter extends CopyingWriter {
  readonly destinationBases = undefined;
  readonly scratch: number;
  readonly #memory: ProcessMemory;

  constructor(receiverPid: number, regions: readonly GrantedRegion[]) {
    super();
    this.#memory = new ProcessMemory(receiverPid);
    this.scratch = regions[0]!.address;
  }

  add(source: number, destination: number, byteLength: number): boolean {
    return this.#memory.add(source, destination, byteLength);
  }

  /** Long pieces move at four fifths of the speed if a turn has half as much. */
  protected override turnBytes(pieceBytes: number): number {
    return pieceBytes >= LONG_TURN_BYTES ? LONG_TURN_BYTES : super.turnBytes(pieceBytes);
  }

  protected flush(): void {
    this.#memory.flush();
  }

  prepare(): boolean {
    return false;
  }

  close(): void {
    this.#memory.clear();
  }
}

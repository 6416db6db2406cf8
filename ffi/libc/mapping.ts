import { fstatSync } from "node:fs";
import { type Address, unsafeViewAt } from "../runtime/index.ts";
import { Advice, Fcntl, MapFlag, MFD_ALLOW_SEALING, MFD_CLOEXEC, Protection, Seal } from "./constants.ts";
import { checked } from "./errors.ts";
import { closeDescriptor, duplicateDescriptor } from "./file-descriptor.ts";
import { libc } from "./library.ts";
import { addSharedMapping, type MemoryShare, removeSharedMapping } from "./shared-mappings.ts";

export const PAGE_BYTES = 4096;
export const HUGE_PAGE_BYTES = 2 * 1024 * 1024;

export interface MappingOptions {
  /** A memfd that other processes can map, instead of private memory. Default false. */
  readonly shared?: boolean;
  /** Ask for 2 MiB pages where the mapping is that large and the system gives them. Default true. */
  readonly hugePages?: boolean;
  /** Shown in /proc/PID/maps for shared mappings. */
  readonly name?: string;
  /**
   * Touch every page now (zeroed) rather than at first use. Shared memory gets huge pages only this way on systems
   * where shmem_enabled is `never`. Default false.
   */
  readonly populate?: boolean;
}

/** Keeps a mapping in place: it is unmapped only when every lease has been released. */
export interface MappingLease extends Disposable {
  release(): void;
}

/**
 * Native memory with an owner: mmap(2), private or backed by a memfd. Closing detaches `buffer`, so that views of it
 * become empty instead of faulting; views made from `address` by other means know nothing of that. The memory itself
 * goes when the last lease does.
 */
export class Mapping implements Disposable {
  readonly address: Address;
  readonly byteLength: number;
  /** The memfd and where in it this mapping begins; undefined for private memory. */
  readonly share: MemoryShare | undefined;
  #buffer: ArrayBuffer | undefined;
  readonly #views: ArrayBuffer[] = [];
  #leases = 0;
  #closed = false;

  private constructor(address: Address, byteLength: number, share: MemoryShare | undefined) {
    this.address = address;
    this.byteLength = byteLength;
    this.share = share;
    if (share) addSharedMapping(address, byteLength, share);
  }

  /** Zeroed memory, aligned to a page (to 2 MiB where it is that large). Throws LibcError. */
  static allocate(byteLength: number, options: MappingOptions = {}): Mapping {
    checkLength(byteLength);
    const { shared = false, hugePages = true, name = "kvwire", populate = false } = options;
    const size = roundUp(byteLength, PAGE_BYTES);
    if (!shared) return new Mapping(mapAligned(size, -1, 0, { hugePages, populate }), byteLength, undefined);
    const fd = checked("memfd_create", libc.memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    try {
      checked("ftruncate", libc.ftruncate(fd, size), `${size} bytes`);
      // A peer that maps this would die of SIGBUS if the memory went away under it: its size is final.
      checked("fcntl(F_ADD_SEALS)", libc.fcntl(fd, Fcntl.F_ADD_SEALS, Seal.SEAL | Seal.SHRINK | Seal.GROW));
      return new Mapping(mapAligned(size, fd, 0, { hugePages, populate }), byteLength, { fd, offset: 0 });
    } catch (error) {
      closeDescriptor(fd);
      throw error;
    }
  }

  /**
   * Maps `byteLength` bytes of a memfd, usually another process's, from `offset` on. The descriptor stays the caller's;
   * the mapping keeps a duplicate. Throws LibcError EINVAL where `offset` is not a multiple of 4,096, and RangeError where
   * the memfd is smaller than that or could be made smaller: touching memory beyond its end ends a process by SIGBUS.
   */
  static ofFd(fd: number, offset: number, byteLength: number, options: { hugePages?: boolean } = {}): Mapping {
    checkLength(byteLength);
    const own = duplicateDescriptor(fd);
    try {
      checkExtent(own, offset + byteLength);
      const size = roundUp(byteLength, PAGE_BYTES);
      const address = mapAligned(size, own, offset, { hugePages: options.hugePages ?? true, populate: false });
      return new Mapping(address, byteLength, { fd: own, offset });
    } catch (error) {
      closeDescriptor(own);
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The memory as an ArrayBuffer, the same one every time; detached by {@link close}. Throws once closed, and RangeError
   * where the mapping is larger than an ArrayBuffer can be (4 GiB in Bun): take {@link view}s then.
   */
  get buffer(): ArrayBuffer {
    return (this.#buffer ??= this.view(0, this.byteLength));
  }

  /** A part as an ArrayBuffer of its own, detached with the rest. Make it once and keep it. */
  view(offset: number, byteLength: number): ArrayBuffer {
    this.#assertOpen();
    if (!(offset >= 0 && byteLength >= 0 && offset + byteLength <= this.byteLength)) {
      throw new RangeError(`bytes ${offset} to ${offset + byteLength} of a mapping of ${this.byteLength}`);
    }
    const view = unsafeViewAt(this.address + offset, byteLength);
    this.#views.push(view);
    return view;
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.buffer);
  }

  /** Asks the kernel to put pages under a part of the mapping now; false where it cannot (old kernel, no memory). */
  populate(offset = 0, byteLength: number = this.byteLength - offset): boolean {
    this.#assertOpen();
    const start = offset - (offset % PAGE_BYTES);
    const end = Math.min(roundUp(offset + byteLength, PAGE_BYTES), roundUp(this.byteLength, PAGE_BYTES));
    return libc.madvise(this.address + start, end - start, Advice.POPULATE_WRITE) === 0;
  }

  /** Whether the whole memfd has memory behind it already, so that populating this mapping of it takes none. */
  get isBacked(): boolean {
    if (!this.share) return false;
    const { blocks, size } = fstatSync(this.share.fd);
    return blocks * 512 >= size;
  }

  lease(): MappingLease {
    this.#assertOpen();
    this.#leases++;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#leases--;
      if (this.#closed && this.#leases === 0) this.#unmap();
    };
    return { release, [Symbol.dispose]: release };
  }

  /** Takes the memory away from JavaScript now, and gives it back to the system once no lease is left. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.share) removeSharedMapping(this.address);
    this.#buffer = undefined;
    for (const view of this.#views.splice(0)) view.transfer(0);
    if (this.#leases === 0) this.#unmap();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #unmap(): void {
    checked("munmap", libc.munmap(this.address, roundUp(this.byteLength, PAGE_BYTES)));
    if (this.share) closeDescriptor(this.share.fd);
  }

  #assertOpen(): void {
    if (this.#closed) throw new TypeError("the mapping is closed");
  }
}

/**
 * Maps `size` bytes so that 2 MiB pages are possible: virtual address and file offset must agree modulo 2 MiB, so a
 * larger span is reserved first and its edges are given back.
 */
function mapAligned(
  size: number,
  fd: number,
  offset: number,
  want: { hugePages: boolean; populate: boolean },
): Address {
  const large = want.hugePages && size >= HUGE_PAGE_BYTES;
  const address = large ? mapAt(size, fd, offset) : map(0, size, fd, offset, 0);
  // A refusal costs speed, not correctness.
  if (large) libc.madvise(address, size, Advice.HUGEPAGE);
  else if (!want.hugePages) libc.madvise(address, size, Advice.NOHUGEPAGE);
  if (want.populate) {
    libc.madvise(address, size, Advice.POPULATE_WRITE);
    if (large && fd >= 0) libc.madvise(address, size, Advice.COLLAPSE);
  }
  return address;
}

function mapAt(size: number, fd: number, offset: number): Address {
  const span = size + HUGE_PAGE_BYTES;
  const flags = MapFlag.PRIVATE | MapFlag.ANONYMOUS | MapFlag.NORESERVE;
  const reserved = checkedMap(libc.mmap(0, span, Protection.NONE, flags, -1, 0), span);
  const address = roundUp(reserved - (offset % HUGE_PAGE_BYTES), HUGE_PAGE_BYTES) + (offset % HUGE_PAGE_BYTES);
  try {
    map(address, size, fd, offset, MapFlag.FIXED);
  } catch (error) {
    libc.munmap(reserved, span);
    throw error;
  }
  if (address > reserved) libc.munmap(reserved, address - reserved);
  if (reserved + span > address + size) libc.munmap(address + size, reserved + span - address - size);
  return address;
}

function map(address: Address, size: number, fd: number, offset: number, extra: number): Address {
  const flags = (fd >= 0 ? MapFlag.SHARED : MapFlag.PRIVATE | MapFlag.ANONYMOUS) | extra;
  return checkedMap(libc.mmap(address, size, Protection.READ | Protection.WRITE, flags, fd, offset), size);
}

function checkedMap(result: number | bigint, size: number): Address {
  return checked("mmap", Number(result), `${size} bytes`);
}

function checkLength(byteLength: number): void {
  if (Number.isSafeInteger(byteLength) && byteLength > 0) return;
  throw new RangeError(`a mapping has a whole number of bytes above 0, not ${byteLength}`);
}

function checkExtent(fd: number, end: number): void {
  const { size } = fstatSync(fd);
  if (end > size) throw new RangeError(`expected a memfd of at least ${end} bytes, not ${size}`);
  const seals = checked("fcntl(F_GET_SEALS)", libc.fcntl(fd, Fcntl.F_GET_SEALS, 0), "expected a memfd");
  if ((seals & Seal.SHRINK) === 0) throw new RangeError("expected a memfd that is sealed against shrinking");
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

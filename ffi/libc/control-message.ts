import type { NativeBuffer } from "../runtime/index.ts";
import { SCM_MAX_FD, SCM_RIGHTS, SOL_SOCKET } from "./constants.ts";

/** Offsets in `struct cmsghdr` of 64-bit Linux (cmsg(3)); the data follows. */
export const CMSGHDR = { len: 0, level: 8, type: 12, size: 16 } as const;

/** Room for one control message with as many descriptors as the kernel lets through at once. */
export const CONTROL_BYTES = CMSGHDR.size + SCM_MAX_FD * 4 + 4;

/** Writes one SCM_RIGHTS message and gives its length. */
export function packDescriptors(control: NativeBuffer, descriptors: readonly number[]): number {
  if (descriptors.length > SCM_MAX_FD) {
    throw new RangeError(`one message carries at most ${SCM_MAX_FD} descriptors, not ${descriptors.length}`);
  }
  const length = CMSGHDR.size + descriptors.length * 4;
  control.setAddress(CMSGHDR.len, length);
  control.i32[CMSGHDR.level / 4] = SOL_SOCKET;
  control.i32[CMSGHDR.type / 4] = SCM_RIGHTS;
  for (const [index, fd] of descriptors.entries()) control.i32[CMSGHDR.size / 4 + index] = fd;
  return (length + 7) & ~7;
}

/** Every descriptor in `length` bytes of control data; they are the caller's to close. */
export function unpackDescriptors(control: NativeBuffer, length: number): number[] {
  const descriptors: number[] = [];
  for (let at = 0; at + CMSGHDR.size <= length;) {
    const size = control.getAddress(at + CMSGHDR.len);
    if (size < CMSGHDR.size) break;
    const isRights =
      control.i32[(at + CMSGHDR.level) / 4] === SOL_SOCKET && control.i32[(at + CMSGHDR.type) / 4] === SCM_RIGHTS;
    const count = isRights ? (size - CMSGHDR.size) >>> 2 : 0;
    for (let index = 0; index < count; index++) descriptors.push(control.i32[(at + CMSGHDR.size) / 4 + index]!);
    at += (size + 7) & ~7;
  }
  return descriptors;
}

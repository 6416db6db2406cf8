import { NativeBuffer } from "../runtime/index.ts";
import { O_CLOEXEC, SocketType } from "./constants.ts";
import { checked } from "./errors.ts";
import { closeDescriptor } from "./file-descriptor.ts";
import { libc } from "./library.ts";
import { type InternetAddress, packInternetAddress, SOCKADDR_IN6, unpackInternetAddress } from "./socket-address.ts";

/**
 * The address that this host speaks from when it speaks to `to`: connecting a datagram socket chooses a route and sends
 * nothing (ip(7)). Throws LibcError where there is no route.
 */
export function localAddressToward(to: InternetAddress): string {
  const address = packInternetAddress(to);
  const fd = checked("socket", libc.socket(address.family, SocketType.DGRAM | O_CLOEXEC, 0));
  try {
    checked("connect", libc.connect(fd, address.storage.address, address.byteLength), `${to.host}:${to.port}`);
    const storage = NativeBuffer.allocate(SOCKADDR_IN6.size);
    const length = NativeBuffer.allocate(4);
    length.u32[0] = SOCKADDR_IN6.size;
    checked("getsockname", libc.getsockname(fd, storage.address, length.address));
    return unpackInternetAddress(storage).host;
  } finally {
    closeDescriptor(fd);
  }
}

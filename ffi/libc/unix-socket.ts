import { type Address, NativeBuffer } from "../runtime/index.ts";
import {
  AddressFamily,
  MessageFlag,
  O_CLOEXEC,
  O_NONBLOCK,
  SocketOption,
  SocketType,
  SOL_SOCKET,
} from "./constants.ts";
import { CONTROL_BYTES, packDescriptors, unpackDescriptors } from "./control-message.ts";
import { checked } from "./errors.ts";
import { closeDescriptor, outcome, WOULD_BLOCK } from "./file-descriptor.ts";
import { IovecArena } from "./iovec.ts";
import { libc } from "./library.ts";
import { MessageHeader } from "./message-header.ts";
import { acceptDescriptor, Socket } from "./socket.ts";
import { packAbstractName } from "./socket-address.ts";

/** Who is at the other end, as the kernel saw it when the connection was made (unix(7) SO_PEERCRED). */
export interface PeerCredentials {
  /** In this process's pid namespace; 0 where the peer is not visible in it. */
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface ReceivedPacket {
  /** As from `receive`: bytes, WOULD_BLOCK, or 0 when the peer has closed. */
  readonly byteLength: number;
  /** The caller's to close. */
  readonly descriptors: readonly number[];
  /** The packet was longer than the space given. */
  readonly truncated: boolean;
}

const header = MessageHeader.create();
const vector = IovecArena.allocate(1);
const control = NativeBuffer.allocate(CONTROL_BYTES);

/** A non-blocking unix socket of type SOCK_SEQPACKET: a send is one packet, and a receive takes one whole. */
export class UnixSocket extends Socket {
  /** Connects to an abstract name; done when this returns. Throws LibcError, ECONNREFUSED where nobody listens. */
  static connect(name: string): UnixSocket {
    const address = packAbstractName(name);
    const socket = new UnixSocket(openPacketSocket());
    try {
      checked("connect", libc.connect(socket.fd, address.storage.address, address.byteLength), `@${name}`);
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  get peerCredentials(): PeerCredentials {
    const storage = NativeBuffer.allocate(16);
    storage.u32[3] = 12;
    const { PEERCRED } = SocketOption;
    checked(
      "getsockopt(SO_PEERCRED)",
      libc.getsockopt(this.fd, SOL_SOCKET, PEERCRED, storage.address, storage.address + 12),
    );
    return { pid: storage.i32[0]!, uid: storage.u32[1]!, gid: storage.u32[2]! };
  }

  /** Sends one packet with up to 253 descriptors, which the peer gets copies of (SCM_RIGHTS). */
  sendDescriptors(address: Address, byteLength: number, descriptors: readonly number[]): number {
    vector.clear();
    vector.push(address, byteLength);
    header.setVector(vector.address, 1);
    header.setControl(control.address, packDescriptors(control, descriptors));
    for (;;) {
      const flags = MessageFlag.DONTWAIT | MessageFlag.NOSIGNAL;
      const sent = outcome("sendmsg", libc.sendmsg(this.fd, header.address, flags));
      if (sent !== undefined) return sent;
    }
  }

  /** Receives one packet and the descriptors with it, closed on exec. */
  receiveDescriptors(address: Address, byteLength: number): ReceivedPacket {
    for (;;) {
      vector.clear();
      vector.push(address, byteLength);
      header.setVector(vector.address, 1);
      header.setControl(control.address, CONTROL_BYTES);
      const flags = MessageFlag.DONTWAIT | MessageFlag.CMSG_CLOEXEC;
      const got = outcome("recvmsg", libc.recvmsg(this.fd, header.address, flags));
      if (got === undefined) continue;
      if (got === WOULD_BLOCK) return { byteLength: got, descriptors: [], truncated: false };
      const descriptors = unpackDescriptors(control, header.controlLength);
      return { byteLength: got, descriptors, truncated: (header.flags & MessageFlag.TRUNC) !== 0 };
    }
  }
}

/** A listening unix socket under an abstract name; nothing stays behind when its process ends. */
export class UnixListener extends Socket {
  /** Throws LibcError, EADDRINUSE where the name is taken. */
  static listen(name: string): UnixListener {
    const address = packAbstractName(name);
    const fd = openPacketSocket();
    try {
      checked("bind", libc.bind(fd, address.storage.address, address.byteLength), `@${name}`);
      checked("listen", libc.listen(fd, 512));
      return new UnixListener(fd);
    } catch (error) {
      closeDescriptor(fd);
      throw error;
    }
  }

  /** The next waiting connection; undefined where there is none. */
  accept(): UnixSocket | undefined {
    const fd = acceptDescriptor(this.fd);
    return fd === undefined ? undefined : new UnixSocket(fd);
  }
}

function openPacketSocket(): number {
  return checked("socket", libc.socket(AddressFamily.UNIX, SocketType.SEQPACKET | O_NONBLOCK | O_CLOEXEC, 0));
}

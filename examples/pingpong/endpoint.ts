import { Mapping } from "../../ffi/libc/index.ts";
import {
  Access,
  type AddressAttributes,
  type CompletionChannel,
  type CompletionQueue,
  type Context,
  Device,
  Gid,
  type MemoryRegion,
  OnDemandPaging,
  type ProtectionDomain,
  type QueuePair,
  type QueuePairTypeName,
  ReceiveList,
  SendFlag,
} from "../../ffi/verbs/index.ts";
import type { PeerAddress } from "./address-exchange.ts";
import type { PingPongOptions } from "./options.ts";

export const RECEIVE_ID = 1;
export const SEND_ID = 2;

const FILLER = 0x7b;
const PAGE_BYTES = 4096;
const CAN_SEND_AND_RECEIVE = OnDemandPaging.SEND | OnDemandPaging.RECV;

export interface EndpointOptions extends PingPongOptions {
  readonly type: QueuePairTypeName;
  /** Room that the device fills in front of each received message. */
  readonly headerBytes: number;
  readonly onDemandPaging: boolean;
}

/** This side's device, memory and queues. One buffer is sent from and received into, as in the C tools. */
export class Endpoint implements Disposable {
  readonly context: Context;
  readonly domain: ProtectionDomain;
  readonly channel: CompletionChannel | undefined;
  readonly completions: CompletionQueue;
  readonly queuePair: QueuePair;
  readonly region: MemoryRegion;
  readonly sendFlags: number;
  readonly #memory: Mapping;
  readonly #options: EndpointOptions;
  readonly #receives: ReceiveList;

  constructor(options: EndpointOptions) {
    const { type, size, headerBytes, receiveDepth, events } = options;
    this.#options = options;
    this.#memory = Mapping.allocate(size + headerBytes);
    this.#memory.bytes.fill(FILLER);
    this.context = Device.find(options.device).open();
    this.domain = this.context.allocateProtectionDomain();
    this.channel = events ? this.context.createCompletionChannel() : undefined;
    const access = Access.LOCAL_WRITE | (options.onDemandPaging ? onDemandAccess(this.context) : 0);
    this.region = this.domain.registerMemory(this.#memory, { access });
    this.completions = this.context.createCompletionQueue({
      entries: receiveDepth + 1,
      ...(this.channel && { channel: this.channel }),
    });
    this.queuePair = this.domain.createQueuePair({
      type,
      sendCompletionQueue: this.completions,
      receiveCompletionQueue: this.completions,
      capabilities: { sendRequests: 1, receiveRequests: receiveDepth },
    });
    const inline = this.queuePair.capabilities.inlineBytes >= size;
    this.sendFlags = SendFlag.SIGNALED | (inline ? SendFlag.INLINE : 0);
    this.#receives = new ReceiveList({ requests: receiveDepth });
  }

  /** Where a message to send stands. */
  get payload(): { readonly address: number; readonly bytes: Uint8Array } {
    const { headerBytes } = this.#options;
    return { address: this.#memory.address + headerBytes, bytes: this.#memory.bytes.subarray(headerBytes) };
  }

  postReceives(count: number): void {
    this.#receives.clear();
    for (let index = 0; index < count; index++) {
      this.#receives.entry(this.#memory.address, this.#memory.byteLength, this.region.lkey).receive(RECEIVE_ID);
    }
    this.queuePair.postReceive(this.#receives);
  }

  /** What the peer is told. */
  address(packetSequence: number): PeerAddress {
    const { devicePort, gidIndex } = this.#options;
    const port = this.context.port(devicePort);
    const { lid, linkLayer } = port.query();
    if (linkLayer !== "ETHERNET" && lid === 0) throw new Error("the port has no LID: is there a subnet manager?");
    const gid = gidIndex === undefined ? Gid.zero : port.gid(gidIndex);
    return { lid, queuePair: this.queuePair.number, packetSequence, gid };
  }

  /** How the peer is reached. */
  route(remote: PeerAddress, hopLimit: number): AddressAttributes {
    const { devicePort, gidIndex = 0, serviceLevel } = this.#options;
    const route = { port: devicePort, lid: remote.lid, serviceLevel };
    return remote.gid.isNull ? route : { ...route, gid: remote.gid, sourceGidIndex: gidIndex, hopLimit };
  }

  /** The first byte of each page is 0 and all others are the filler: what the C tools check, and what they do not. */
  writePattern(): void {
    const { bytes } = this.payload;
    for (let offset = 0; offset < bytes.length; offset += PAGE_BYTES) bytes[offset] = 0;
  }

  /** The pages whose contents are not the pattern. */
  wrongPages(): number[] {
    const { bytes } = this.payload;
    const pages = Array.from({ length: Math.ceil(bytes.length / PAGE_BYTES) }, (_, page) => page);
    return pages.filter((page) => {
      const [first, ...rest] = bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      return first !== 0 || rest.some((byte) => byte !== FILLER);
    });
  }

  [Symbol.dispose](): void {
    this.context.close();
    this.#memory[Symbol.dispose]();
  }
}

function onDemandAccess(context: Context): number {
  const { onDemandPaging, onDemandPagingRc } = context.queryDeviceExtended();
  if (onDemandPaging === 0n || (onDemandPagingRc & CAN_SEND_AND_RECEIVE) !== CAN_SEND_AND_RECEIVE) {
    throw new Error("The device isn't ODP capable or does not support RC send and receive with ODP");
  }
  return Access.ON_DEMAND;
}

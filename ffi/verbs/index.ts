/** libibverbs from TypeScript. @module */
export {
  Access,
  Advice,
  AsyncEventType,
  CompletionFlag,
  CompletionOpcode,
  CompletionStatus,
  DeviceCapability,
  GidType,
  nameOf,
  OnDemandPaging,
  QueuePairType,
  SendFlag,
  WorkRequestOpcode,
} from "./abi/index.ts";
export { type AddressAttributes, AddressHandle, senderAddress } from "./address-handle.ts";
export type { AsyncEvent } from "./async-event.ts";
export {
  type Completion,
  CompletionBatch,
  type CompletionOpcodeName,
  type CompletionStatusName,
} from "./completion.ts";
export { CompletionChannel } from "./completion-channel.ts";
export { CompletionQueue, type CompletionQueueOptions } from "./completion-queue.ts";
export { Context } from "./context.ts";
export { Device } from "./device.ts";
export type { DeviceAttributes, ExtendedDeviceAttributes } from "./device-attributes.ts";
export { DeviceMemory, type DeviceMemoryOptions } from "./device-memory.ts";
export { CompletionError, PostError, type UserErrorCode, VerbsError, VerbsUserError } from "./errors.ts";
export { Gid } from "./gid.ts";
export { type DmaBuf, MemoryRegion, type NativeMemory, type RegisterOptions } from "./memory-region.ts";
export { MemoryWindow, nextKey } from "./memory-window.ts";
export type { GidEntry } from "./gid-table.ts";
export { Port, type PortAttributes } from "./port.ts";
export { ProtectionDomain } from "./protection-domain.ts";
export { QueuePair, type QueuePairOptions } from "./queue-pair.ts";
export type { QueuePairCapabilities } from "./queue-pair-capabilities.ts";
export type {
  AlternatePath,
  QueriedAttributes,
  QueuePairAttributes,
  QueuePairStateName,
} from "./queue-pair-attributes.ts";
export { connect, type ConnectOptions, type Endpoint, openDatagrams } from "./queue-pair-connect.ts";
export { drain, DRAIN_MARKER, type DrainOptions } from "./queue-pair-drain.ts";
export { type QueuePairTypeName } from "./queue-pair-state.ts";
export { ReceiveList } from "./receive-list.ts";
export { type Leak, onLeak, Resource } from "./resource.ts";
export { type DatagramTarget, SendList, type WindowBinding } from "./send-list.ts";
export {
  SharedReceiveQueue,
  type SharedReceiveQueueAttributes,
  type SharedReceiveQueueOptions,
} from "./shared-receive-queue.ts";
export type { WorkRequestListOptions } from "./work-request.ts";
export { XrcDomain } from "./xrc-domain.ts";

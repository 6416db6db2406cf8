/** kvwire: moves the KV cache of a large language model from the engine that computed it to the one that goes on from it. @module */
export { type KVArgs } from "./args.ts";
export { type AuxMemory, type AuxRecord, AuxSlots } from "./aux-slots.ts";
export { type ErrorDetails, KVTransferError, KVUserError, TransferErrorCode, UserErrorCode } from "./errors.ts";
export { KVManager, type KVManagerOptions } from "./manager.ts";
export { KVReceiver, type ReceiverInitOptions, type ReceiverOptions } from "./receiver.ts";
export { type BootstrapServerOptions, KVBootstrapServer } from "./registry/bootstrap-server.ts";
export { type TransferMetric } from "./room-handle.ts";
export { KVPoll, pollName } from "./rooms/index.ts";
export { KVSender, type SenderOptions } from "./sender.ts";
export { registerTransport, transportNames } from "./transports/index.ts";
export type {
  InboundEnd,
  InboundEvents,
  OutboundEnd,
  OutboundEvents,
  Reactor,
  RegisteredBuffer,
  Transport,
  TransportContext,
  TransportFactory,
  Unusable,
  WriteBatch,
} from "./transports/transport.ts";

/** libibverbs as C has it: symbols, constants, struct layouts, tables of function pointers. @module */
export {
  Access,
  Advice,
  AsyncEventType,
  AtomicCapability,
  CompletionFlag,
  CompletionOpcode,
  CompletionStatus,
  cPrefixes,
  DeviceCapability,
  GidType,
  LinkLayer,
  MemoryWindowType,
  Mtu,
  nameOf,
  NodeType,
  OnDemandPaging,
  OPTIONAL_ACCESS_RANGE,
  PathMigration,
  PortState,
  QueuePairAttribute,
  QueuePairState,
  QueuePairType,
  Reregister,
  SendFlag,
  SharedReceiveQueueAttribute,
  TransportType,
  WorkRequestOpcode,
} from "./constants.ts";
export {
  type Architecture,
  type Field,
  type Fields,
  type FieldType,
  hostArchitecture,
  type StructLayout,
} from "./layout.ts";
export { lastErrno, verbs, type VerbsLibrary } from "./library.ts";
export { type InlineVerbs, unsafeExtendedVerb, unsafeInlineVerbs } from "./operations.ts";
export { StructBuffer, unsafeReadField } from "./struct-buffer.ts";
export { structs, structsFor } from "./structs.ts";
export { extendedVerbs, inlineVerbs, optionalSymbols, requiredSymbols } from "./symbols.ts";

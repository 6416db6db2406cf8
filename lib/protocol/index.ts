export { type AnswerHeaders, type Member, RegistryErrorCode, type RelayedHeaders } from "./headers.ts";
export {
  decodeHeard,
  decodeRequest,
  encodeAnswer,
  encodeDirect,
  encodeRelayed,
  encodeRequest,
  type Frame,
  FrameError,
  type Frames,
  type Heard,
  MAX_MESSAGE_BYTES,
  parseHeard,
  PROTOCOL_VERSION,
  type RegistryRequest,
} from "./messages.ts";

export { type AnswerHeaders, type Member, RegistryErrorCode, type RelayedHeaders } from "./headers.ts";
export { encodeDirect, encodeDirectRoom, parseDirect } from "./direct.ts";
export {
  decodeHeard,
  decodeRequest,
  encodeAnswer,
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

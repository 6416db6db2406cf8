export { ChunkedDecoder } from "./chunked-decoder.ts";
export { ProtocolError } from "./protocol-error.ts";
export { fieldOf, MAX_FIELDS, MAX_HEAD_BYTES, parseHead, type ResponseHead } from "./response-head.ts";
export { ResponseParser, type ResponseSink } from "./response-parser.ts";
export { writeLatin1 } from "./latin1.ts";

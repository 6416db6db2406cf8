export { ChunkedDecoder } from "./chunked-decoder.ts";
export { MAX_FIELDS, MAX_HEAD_BYTES } from "./fields.ts";
export { ProtocolError } from "./protocol-error.ts";
export { RequestHead } from "./request-head.ts";
export { RequestParser } from "./request-parser.ts";
export { fieldOf, parseHead, type ResponseHead } from "./response-head.ts";
export { ResponseParser, type ResponseSink } from "./response-parser.ts";
export { writeLatin1 } from "./latin1.ts";

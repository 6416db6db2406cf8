export { bootstrapMembers, legBodies, sampleEdits, type BootstrapAddress } from "./bootstrap.ts";
export { ENDPOINTS, type Endpoint } from "./endpoint.ts";
export { JsonScanner, JsonSyntaxError, MAX_DEPTH, scanBody, type JsonKind, type JsonMember } from "./json-scanner.ts";
export { MAX_BATCH, MAX_SAMPLES, parseRequest, type ParsedRequest } from "./parsed-request.ts";
export { RequestError } from "./request-error.ts";
export { RequestIds } from "./request-ids.ts";
export { RoomIds } from "./room-ids.ts";
export { SplicedBody, type Edit } from "./splice.ts";

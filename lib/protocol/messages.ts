/**
 * What managers and the registry say to each other. A message is [type, JSON header, binary…]; every header is parsed
 * here, once, and carries the protocol's version. Page indices travel as little-endian i32 in a frame of their own.
 * @module
 */
import { z } from "zod";
import {
  type AnswerHeaders,
  answers,
  type RegistryErrorCode,
  relayed,
  type RelayedHeaders,
  type RequestHeaders,
  requests,
  shortText,
} from "./headers.ts";

export const PROTOCOL_VERSION = 2;
/** Of one frame between a registry and its members; libzmq drops who sends a longer one. */
export const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** What one manager of a pair says to the other. */
export type Relayed = {
  [K in keyof RelayedHeaders]: {
    readonly type: K;
    readonly from: string;
    readonly header: RelayedHeaders[K];
    readonly pages: Int32Array<ArrayBuffer>;
  };
}[keyof RelayedHeaders];

/** What a manager hears from a registry. */
export type Heard =
  | { [K in keyof AnswerHeaders]: { readonly type: K; readonly header: AnswerHeaders[K] } }[keyof AnswerHeaders]
  | Relayed;

export type Frame = Uint8Array<ArrayBuffer>;
export type Frames = readonly Frame[];

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

const typeFrames = new Map(
  [...Object.keys(relayed), ...Object.keys(requests), ...Object.keys(answers)].map((type) => [
    type,
    encoder.encode(type),
  ]),
);

/** The first frame of a message of that type. */
export function typeFrame(type: string): Frame {
  return typeFrames.get(type)!;
}

export function pagesFrame(pages: Int32Array<ArrayBuffer>): Frame {
  return new Uint8Array(pages.buffer, pages.byteOffset, pages.byteLength);
}

export function encodeFrames(type: string, header: object, pages?: Int32Array<ArrayBuffer>): Frame[] {
  const out = [typeFrame(type), encoder.encode(JSON.stringify({ v: PROTOCOL_VERSION, ...header }))];
  if (pages) out.push(pagesFrame(pages));
  return out;
}

export function encodeRequest<K extends keyof RequestHeaders>(type: K, header: RequestHeaders[K]): Frame[] {
  return encodeFrames(type, header);
}

export function encodeAnswer<K extends keyof AnswerHeaders>(type: K, header: AnswerHeaders[K]): Frame[] {
  return encodeFrames(type, header);
}

export function encodeRelayed<K extends keyof RelayedHeaders>(
  type: K,
  to: string,
  header: RelayedHeaders[K],
  pages?: Int32Array<ArrayBuffer>,
): Frame[] {
  return encodeFrames(type, { to, ...header }, pages);
}

/** A frame that is not what the protocol says. */
export class FrameError extends Error {
  readonly code: keyof typeof RegistryErrorCode;

  constructor(code: keyof typeof RegistryErrorCode, message: string) {
    super(message);
    this.name = "FrameError";
    this.code = code;
  }
}

const envelope = z.looseObject({ v: z.number(), to: shortText.optional(), from: shortText.optional() });

function parseHead(message: Frames): { type: string; header: z.infer<typeof envelope> } {
  if (message.length < 2 || message.length > 3) {
    throw new FrameError("BAD_FRAME", `a message has 2 or 3 frames, not ${message.length}`);
  }
  let type: string;
  let json: unknown;
  try {
    type = decoder.decode(message[0]);
    json = JSON.parse(decoder.decode(message[1]));
  } catch (cause) {
    throw new FrameError("BAD_FRAME", `the header is not JSON in UTF-8: ${(cause as Error).message}`);
  }
  const header = check(envelope, json, type);
  checkVersion(header.v);
  return { type, header };
}

export function checkVersion(version: number | undefined): void {
  if (version === PROTOCOL_VERSION) return;
  const message = `version ${PROTOCOL_VERSION} is spoken here, the message is of version ${version}`;
  throw new FrameError("BAD_VERSION", message);
}

function check<T extends z.ZodType>(schema: T, value: unknown, type: string): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new FrameError("BAD_FRAME", `${type.slice(0, 64)}: ${z.prettifyError(result.error).slice(0, 1_000)}`);
}

export type RegistryRequest =
  | { [K in keyof RequestHeaders]: { readonly type: K; readonly header: RequestHeaders[K] } }[keyof RequestHeaders]
  | {
      readonly type: "relay";
      readonly inner: string;
      readonly to: string;
      /** What an error about it must name. */
      readonly subject: { readonly room?: number; readonly pair?: string };
      readonly forward: (from: string) => Frame[];
    };

/** What the registry was sent, checked in whole; a relayed message is handed on only if it is well formed. */
export function decodeRequest(message: Frames): RegistryRequest {
  const { type, header } = parseHead(message);
  if (Object.hasOwn(requests, type)) {
    const key = type as keyof RequestHeaders;
    return { type: key, header: check(requests[key], header, type) } as RegistryRequest;
  }
  if (!Object.hasOwn(relayed, type))
    throw new FrameError("UNKNOWN_TYPE", `unknown message type ${JSON.stringify(type.slice(0, 64))}`);
  if (header.to === undefined) throw new FrameError("BAD_FRAME", `${type}: "to" is missing`);
  const body = check(relayed[type as keyof RelayedHeaders], header, type);
  decodePages(message[2]);
  const pages = message[2];
  return {
    type: "relay",
    inner: type,
    to: header.to,
    subject: { ...("room" in body ? { room: body.room } : {}), ...("pair" in body ? { pair: body.pair } : {}) },
    forward: (from) => [...encodeFrames(type, { from, ...body }), ...(pages ? [pages] : [])],
  };
}

/** What a manager was sent by a registry. */
export function decodeHeard(message: Frames): Heard {
  const { type, header } = parseHead(message);
  if (Object.hasOwn(answers, type)) {
    const key = type as keyof AnswerHeaders;
    return { type: key, header: check(answers[key], header, type) } as Heard;
  }
  if (!Object.hasOwn(relayed, type))
    throw new FrameError("UNKNOWN_TYPE", `unknown message type ${JSON.stringify(type.slice(0, 64))}`);
  const key = type as keyof RelayedHeaders;
  if (header.from === undefined) throw new FrameError("BAD_FRAME", `${type}: "from" is missing`);
  return {
    type: key,
    from: header.from,
    header: check(relayed[key], header, type),
    pages: decodePages(message[2]),
  } as Heard;
}

export function decodePages(frame: Frame | undefined): Int32Array<ArrayBuffer> {
  if (!frame) return new Int32Array(0);
  if (frame.byteLength % 4 !== 0) {
    throw new FrameError("BAD_FRAME", `page indices are i32: ${frame.byteLength} bytes are no multiple of 4`);
  }
  return new Int32Array(frame.slice().buffer);
}

/** The same; a message that makes no sense is dropped: what waits for a right one has its own deadline. */
export function parseHeard(message: Frames): Heard | undefined {
  try {
    return decodeHeard(message);
  } catch (error) {
    if (error instanceof FrameError) return undefined;
    throw error;
  }
}

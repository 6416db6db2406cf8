/**
 * Messages by a pair's own way, which says by itself who speaks, and of which pair. There `room` is numbers, not JSON:
 * every room waits for it, and in the midst of a room's other work the schema costs some 100 µs.
 * @module
 */
import { MAX_INFOS, MAX_TAG, type RelayedHeaders } from "./headers.ts";
import {
  checkVersion,
  decodePages,
  encodeFrames,
  type Frame,
  FrameError,
  type Frames,
  type Heard,
  pagesFrame,
  parseHeard,
  PROTOCOL_VERSION,
  type Relayed,
  typeFrame,
} from "./messages.ts";

type RoomHeader = RelayedHeaders["room"];

/** Who is at the other end of the pair's way. */
interface Way {
  readonly pair: string;
  readonly from: string;
}

/** Of a room's numbers, each f64 in the one byte order of the hosts that this runs on. */
const ROOM_NUMBERS = 7;

export function encodeDirectRoom(header: Omit<RoomHeader, "pair">, pages: Int32Array<ArrayBuffer>): Frame[] {
  const { room, tag, auxIndex, decodePrefixTokens, dummy, infos } = header;
  const numbers = Float64Array.of(PROTOCOL_VERSION, room, tag, auxIndex, decodePrefixTokens, dummy ? 1 : 0, infos);
  return [typeFrame("room"), new Uint8Array(numbers.buffer), pagesFrame(pages)];
}

export function encodeDirect<K extends Exclude<keyof RelayedHeaders, "room">>(
  type: K,
  from: string,
  header: RelayedHeaders[K],
): Frame[] {
  return encodeFrames(type, { from, ...header });
}

/** Undefined for what makes no sense, as {@link parseHeard} has it. */
export function parseDirect(message: Frames, way: Way): Relayed | undefined {
  const [type, numbers, pages] = message;
  try {
    if (!isRoom(type) || !numbers || !pages) return fromPeer(parseHeard(message), way);
    return { type: "room", from: way.from, header: roomHeader(numbers, way.pair), pages: decodePages(pages) };
  } catch (error) {
    if (error instanceof FrameError) return undefined;
    throw error;
  }
}

function fromPeer(heard: Heard | undefined, { from }: Way): Relayed | undefined {
  return heard && "from" in heard && heard.from === from ? heard : undefined;
}

function isRoom(type: Frame | undefined): boolean {
  const name = typeFrame("room");
  return type?.length === name.length && name.every((byte, index) => type[index] === byte);
}

function roomHeader(frame: Frame, pair: string): RoomHeader {
  if (frame.byteLength !== ROOM_NUMBERS * Float64Array.BYTES_PER_ELEMENT) {
    throw new FrameError("BAD_FRAME", `room: ${frame.byteLength} bytes are not ${ROOM_NUMBERS} numbers`);
  }
  const [version, room, tag, auxIndex, decodePrefixTokens, dummy, infos] = new Float64Array(frame.slice().buffer);
  checkVersion(version);
  return {
    pair,
    room: within(room, "room"),
    tag: within(tag, "tag", MAX_TAG),
    auxIndex: within(auxIndex, "auxIndex"),
    decodePrefixTokens: within(decodePrefixTokens, "decodePrefixTokens"),
    dummy: within(dummy, "dummy", 1) === 1,
    infos: within(infos, "infos", MAX_INFOS, 1),
  };
}

function within(value: number | undefined, name: string, limit = Number.MAX_SAFE_INTEGER, least = 0): number {
  if (Number.isInteger(value) && value! >= least && value! <= limit) return value!;
  throw new FrameError("BAD_FRAME", `room: ${name} is an integer from ${least} to ${limit}, not ${value}`);
}

import type { ParsedRequest } from "./parsed-request.ts";
import type { RoomIds } from "./room-ids.ts";
import { SplicedBody, type Edit } from "./splice.ts";

/** Where a prefill worker's bootstrap server is, as the engine is told. */
export interface BootstrapAddress {
  /** As JSON text, quoted. */
  readonly hostJson: string;
  /** null: the engine uses its own default. */
  readonly port: number | null;
}

const repeat = (text: string, count: number): string => `[${Array.from({ length: count }, () => text).join(",")}]`;

/** The members that make two engines meet: scalars for one prompt, lists with a room for each for a batch. */
export function bootstrapMembers(
  request: ParsedRequest,
  address: BootstrapAddress,
  rooms: RoomIds,
  rid: string,
): string {
  const { batch } = request;
  if (batch === undefined) {
    return `"bootstrap_host":${address.hostJson},"bootstrap_port":${address.port},"bootstrap_room":${rooms.next()},"rid":"${rid}"`;
  }
  const list: number[] = [];
  const rids: string[] = [];
  for (let i = 0; i < batch; i++) {
    list.push(rooms.next());
    rids.push(`"${rid}_${i}"`);
  }
  const hosts = repeat(address.hostJson, batch);
  const ports = repeat(String(address.port), batch);
  return `"bootstrap_host":${hosts},"bootstrap_port":${ports},"bootstrap_room":[${list.join(",")}],"rid":[${rids.join(",")}]`;
}

/** Sample `index` of a request for several: its seeds moved on, so that samples differ as they do on one engine. */
export function sampleEdits(request: ParsedRequest, index: number): readonly Edit[] {
  if (index === 0 || request.seeds.length === 0) return request.edits;
  const moved = request.seeds.map((seed) => {
    const value = request.bytes.toString("latin1", seed.start, seed.end);
    const next = /^-?[0-9]+$/.test(value) ? String(BigInt(value) + BigInt(index)) : value;
    return { start: seed.start, end: seed.end, text: next };
  });
  return [...request.edits, ...moved].sort((a, b) => a.start - b.start);
}

/** The two legs' bodies, differing only where prefill must not stream. */
export function legBodies(
  request: ParsedRequest,
  edits: readonly Edit[],
  members: string,
): { prefill: SplicedBody; decode: SplicedBody } {
  const decode = SplicedBody.splice(request, edits, members);
  const { streamMember } = request;
  if (!request.merge || !request.stream || streamMember === undefined) return { prefill: decode, decode };
  const silent = { start: streamMember.start, end: streamMember.end, text: "false" };
  const quiet = [...edits, silent].sort((a, b) => a.start - b.start);
  return { prefill: SplicedBody.splice(request, quiet, members), decode };
}

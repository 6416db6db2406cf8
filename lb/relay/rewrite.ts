import type { ParsedRequest } from "../request/index.ts";
import type { Answer } from "./failure.ts";
import { mergeLogprobs, mergeLogprobEvents } from "./logprobs.ts";

type Rewriter = (bytes: Buffer, events: boolean, prefill: Answer | undefined) => Buffer;

/** Changes to decode's answer; undefined for the ordinary request, whose bytes pass untouched. */
export function rewriterFor(request: ParsedRequest, rid: string): Rewriter | undefined {
  const { merge, rid: clientRid, batch } = request;
  if (!merge && clientRid === undefined) return undefined;
  return (bytes, events, prefill) => {
    let changed = bytes;
    if (merge && prefill !== undefined)
      changed = events ? mergeLogprobEvents(changed, prefill.body) : mergeLogprobs(changed, prefill.body);
    return clientRid === undefined ? changed : restoreRid(changed, rid, clientRid, batch);
  };
}

/** Engines are given ids of ours; the client finds its own in the answer, as without a load balancer. */
function restoreRid(bytes: Buffer, rid: string, client: string | readonly string[], batch: number | undefined): Buffer {
  if (!bytes.includes(rid)) return bytes;
  const text = bytes.toString();
  const inner = (id: string): string => JSON.stringify(id).slice(1, -1);
  if (batch === undefined) {
    const own = typeof client === "string" ? client : (client[0] ?? rid);
    return Buffer.from(text.replaceAll(rid, () => inner(own)));
  }
  const pattern = new RegExp(`${rid}_(\\d+)`, "g");
  return Buffer.from(
    text.replace(pattern, (ours, index: string) => {
      const own = typeof client === "string" ? `${client}_${index}` : client[Number(index)];
      return own === undefined ? ours : inner(own);
    }),
  );
}

import { parseArgs } from "../../lib/args.ts";
import { planPages } from "../../lib/planner/index.ts";
import { FIRST_BYTES } from "../../lib/progress/batches.ts";
import { PlanCursor } from "../../lib/transports/pairs/index.ts";
import { verbsOptionsSchema } from "../../lib/transports/verbs/options.ts";
import { LAYERS, Pool } from "./pool.ts";

const { gatherLimit, maxWriteBytes } = verbsOptionsSchema.parse({});

/** Writes that a room's pages become, batch by batch and turn by turn as the library makes them. */
export function requestsOf(
  pageBytes: number,
  pages: number,
  { from, to }: { readonly from: readonly number[]; readonly to: readonly number[] },
): number {
  using pool = new Pool(pages, pageBytes);
  const { layout } = parseArgs(pool.args);
  const first = FIRST_BYTES / (pageBytes * 2 * LAYERS);
  let requests = 0;
  for (let start = 0, end = 0; start < from.length; start = end) {
    end = Math.min(from.length, 2 * start + first);
    const part = {
      sourcePages: Int32Array.from(from.slice(start, end)),
      destinationPages: Int32Array.from(to.slice(start, end)),
    };
    const cursor = new PlanCursor(planPages({ source: layout, destination: layout, ...part, gatherLimit }));
    while (!cursor.done) requests += oneTurn(cursor);
  }
  return requests;
}

/** What follows at the destination joins the request before it. */
function oneTurn(cursor: PlanCursor): number {
  let requests = 0;
  let entries = 0;
  let next = -1;
  cursor.advance(maxWriteBytes, {
    add: (_, destination, byteLength) => {
      if (destination !== next || entries === gatherLimit) {
        requests++;
        entries = 0;
      }
      entries++;
      next = destination + byteLength;
      return true;
    },
  });
  return requests;
}

import type { PageShape } from "./layout-pair.ts";
import type { PageRuns } from "./page-runs.ts";
import type { Segments } from "./write-plan.ts";

/** What `runs` move in one buffer whose pages have this shape: offsets from the starts of the two buffers. */
export function pageSegments(shape: PageShape, runs: PageRuns): Segments {
  return shape.whole ? wholePages(shape.pieceBytes, runs) : tokenSlices(shape, runs);
}

function wholePages(pageBytes: number, runs: PageRuns): Segments {
  const count = runs.pages.length;
  const source = new Float64Array(count);
  const destination = new Float64Array(count);
  const length = new Float64Array(count);
  for (let run = 0; run < count; run++) {
    source[run] = runs.source[run]! * pageBytes;
    destination[run] = runs.destination[run]! * pageBytes;
    length[run] = runs.pages[run]! * pageBytes;
  }
  return { source, destination, length };
}

/** Neighbouring tokens' slices never touch on both sides, for then the heads that both have would be all heads. */
function tokenSlices(shape: PageShape, runs: PageRuns): Segments {
  let tokens = 0;
  for (let run = 0; run < runs.pages.length; run++) tokens += runs.pages[run]! * shape.tokens;
  const source = new Float64Array(tokens);
  const destination = new Float64Array(tokens);
  let at = 0;
  for (let run = 0; run < runs.pages.length; run++) {
    let from = runs.source[run]! * shape.sourceItem + shape.sourceSkip;
    let to = runs.destination[run]! * shape.destinationItem + shape.destinationSkip;
    // A page's tokens fill it, so the stride from token to token is also right from page to page.
    const end = at + runs.pages[run]! * shape.tokens;
    for (; at < end; at++) {
      source[at] = from;
      destination[at] = to;
      from += shape.sourceStride;
      to += shape.destinationStride;
    }
  }
  return { source, destination, length: new Float64Array(tokens).fill(shape.pieceBytes) };
}

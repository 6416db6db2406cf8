import { openLibrary } from "../../ffi/runtime/index.ts";
import { SendFlag, SendList } from "../../ffi/verbs/index.ts";

const BATCH = 64;
const ROUND_MS = 50;

/** Compares two of the pointers it is given and finds them different, 0: as cheap as a native call can be. */
const { pthread_equal: stub } = openLibrary({
  name: "the C library",
  candidates: ["libc.so.6"],
  symbols: { pthread_equal: { parameters: ["pointer", "pointer", "pointer"], result: "i32" } },
}).symbols;

const list = new SendList({ requests: BATCH });

/** A batch as a transport builds it: each write from another place to another place, the last one signalled. */
function build(local: number, remote: number): void {
  list.clear();
  for (let index = 0; index < BATCH; index++) {
    list.entry(local + index * 65_536, 4096, 0x1234);
    list.write(index, remote + index * 32_768, 0x5678, index === BATCH - 1 ? SendFlag.SIGNALED : 0);
  }
}

function nanosecondsEach(batch: () => void): number {
  const start = Bun.nanoseconds();
  let writes = 0;
  let elapsed = 0;
  do {
    for (let round = 0; round < 100; round++) batch();
    writes += 100 * BATCH;
    elapsed = Bun.nanoseconds() - start;
  } while (elapsed < ROUND_MS * 1e6);
  return elapsed / writes;
}

const local = 0x7f12_8765_4000;
const remote = 0x7fab_0000_1000;

/** Nanoseconds for each write of a batch of 64: built and linked, and also posted to a native function that does nothing. */
export const stubCases = {
  "build and link": () => nanosecondsEach(() => build(local, remote)),
  "build, link and post to a stub": () =>
    nanosecondsEach(() => {
      build(local, remote);
      list.unsafePost(stub, local, "stub");
    }),
};

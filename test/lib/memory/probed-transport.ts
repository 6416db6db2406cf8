/** A transport in whose thread the heap can be asked for: see {@link HeapProbe}. @module */
import { EventFd } from "../../../ffi/libc/index.ts";
import type { Transport, TransportContext, Unusable } from "../../../lib/index.ts";
import { createShmTransport } from "../../../lib/transports/shm/index.ts";
import { createTcpTransport } from "../../../lib/transports/tcp/index.ts";
import { createVerbsTransport } from "../../../lib/transports/verbs/index.ts";
import { collectedHeap } from "./heap.ts";
import { type ProbeOptions, Word } from "./heap-probe.ts";

const factories = { shm: createShmTransport, tcp: createTcpTransport, verbs: createVerbsTransport };

export function createTransport(context: TransportContext): Transport | Unusable {
  const { transport, options, wakeFd, words } = context.options as unknown as ProbeOptions;
  const wake = EventFd.borrow(wakeFd);
  context.reactor.watch(wakeFd, { readable: true }, () => {
    wake.drain();
    const { bytes, objects } = collectedHeap();
    words[Word.bytes] = bytes;
    words[Word.objects] = objects;
    Atomics.store(words, Word.answered, words[Word.asked]!);
  });
  return factories[transport]({ ...context, options });
}

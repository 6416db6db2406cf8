import { EventFd } from "../../../ffi/libc/index.ts";
import type { Transport, TransportContext } from "../../../lib/index.ts";

/** A third party's transport that throws as soon as the progress thread has begun. */
export function createTransport({ reactor }: TransportContext): Transport {
  const event = EventFd.create();
  event.signal();
  reactor.watch(event.fd, { readable: true }, () => {
    throw new Error("broken on purpose");
  });
  const unused = (): never => {
    throw new Error("nobody gets this far");
  };
  return { name: "broken", openInbound: unused, openOutbound: unused, close: () => event.close() };
}

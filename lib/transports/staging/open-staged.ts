import type { Transport, TransportContext, TransportFactory, Unusable } from "../transport.ts";
import { Gpus } from "../gpu/index.ts";
import { GpuLanding } from "./gpu-landing.ts";
import { StagedOutbound } from "./staged-outbound.ts";

/** Transports whose receiver lays the bytes down itself: they can land in pinned memory first. */
const RECEIVER_PLACES: ReadonlySet<string> = new Set(["tcp"]);

/**
 * Opens a transport that knows host memory only for pages on a GPU. A sender gathers them into pinned memory, piece by piece,
 * ahead of the transport; a receiver takes them from there.
 */
export function openStaged(name: string, factory: TransportFactory, context: TransportContext): Transport | Unusable {
  const places = context.role === "prefill" || RECEIVER_PLACES.has(name);
  if (!places) return { unusable: "the pages are on a GPU, where another process's processor cannot write" };
  const ordinals = new Set(context.buffers.flatMap(({ gpu }) => (gpu === undefined ? [] : [gpu])));
  const [ordinal] = ordinals;
  if (ordinal === undefined || ordinals.size > 1) return { unusable: `the pages are on ${ordinals.size} GPUs` };
  const gpus = new Gpus();
  const device = gpus.device(ordinal);
  if (context.role === "decode") {
    const onGpu = context.buffers.filter(({ gpu }) => gpu !== undefined);
    return factory({ ...context, landing: () => new GpuLanding(device, onGpu) });
  }
  const side = gpus.side(device);
  const inner = factory(context);
  if ("unusable" in inner) return inner;
  return {
    name: inner.name,
    openInbound: (peer, events, host) => inner.openInbound(peer, events, host),
    openOutbound: (peer, offer, events) =>
      new StagedOutbound((innerEvents) => inner.openOutbound(peer, offer, innerEvents), events, side),
    close() {
      inner.close();
      gpus.close();
    },
  };
}

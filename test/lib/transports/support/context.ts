import { Mapping, type MappingOptions } from "../../../../ffi/libc/index.ts";
import { latentLayout } from "../../../../lib/planner/index.ts";
import { createCmaTransport } from "../../../../lib/transports/cma/index.ts";
import { createShmTransport } from "../../../../lib/transports/shm/index.ts";
import { createTcpTransport } from "../../../../lib/transports/tcp/index.ts";
import type {
  Reactor,
  RegisteredBuffer,
  RoomTag,
  Transport,
  TransportContext,
  TransportFactory,
} from "../../../../lib/transports/transport.ts";

export const factories: Readonly<Record<string, TransportFactory>> = {
  shm: createShmTransport,
  cma: createCmaTransport,
  tcp: createTcpTransport,
};
export const transportNames = Object.keys(factories);

/** Transports read no more of a layout than that it is there. */
const layout = latentLayout({ address: 0, pages: 1, pageBytes: 1, auxSlots: 1, auxBytes: 1 });

export interface ContextChoices {
  readonly role: "prefill" | "decode";
  readonly reactor: Reactor;
  readonly buffers?: readonly RegisteredBuffer[];
  readonly options?: Record<string, unknown>;
  readonly mayWrite?: (tag: RoomTag, address: number, byteLength: number) => boolean;
  readonly advertiseHost?: string;
  readonly connectTimeoutMs?: number;
  readonly now?: () => number;
}

export function makeContext(choices: ContextChoices): TransportContext {
  return {
    self: `${choices.role} under test`,
    layout,
    buffers: [],
    now: () => performance.now(),
    advertiseHost: "127.0.0.1",
    connectTimeoutMs: 5_000,
    options: {},
    mayWrite: () => true,
    ...choices,
  };
}

export function openTransport(name: string, choices: ContextChoices): Transport {
  const transport = factories[name]!(makeContext(choices));
  if ("unusable" in transport) throw new Error(transport.unusable);
  return transport;
}

/** Shared memory with its registration. */
export function makePool(
  byteLength: number,
  options: MappingOptions = {},
): { readonly mapping: Mapping; readonly buffer: RegisteredBuffer } {
  const mapping = Mapping.allocate(byteLength, { shared: true, ...options });
  return {
    mapping,
    buffer: { address: mapping.address, byteLength, ...(mapping.share && { share: mapping.share }) },
  };
}

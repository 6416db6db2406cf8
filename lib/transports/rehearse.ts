import { KVTransferError } from "../errors.ts";
import { type KVLayout, planAux, planPages } from "../planner/index.ts";
import { rehearsalPage, RehearsalPool } from "./rehearsal-pool.ts";
import type { InboundEnd, OutboundEnd, Reactor, TransportContext, TransportFactory } from "./transport.ts";

const ROOMS = 100;
/** For the connection and the first room, which must come through; a loaded machine takes its time. */
const LIMIT_MS = 5_000;
/** For the other rooms, which only warm up: what is not done by then is left. */
const PRACTICE_MS = 1_000;

/** A poll set that this thread can wait on. */
export interface WaitingReactor extends Reactor {
  wait(timeoutMs: number): boolean;
}

/**
 * Sends rooms from this thread to itself by a transport of its own: whatever the transport needs (code compiled, sockets
 * tried, permissions) is seen to work before a peer relies on it. Throws a typed error where it does not.
 */
export function rehearseTransport(
  factory: TransportFactory,
  base: Omit<TransportContext, "role" | "self" | "layout" | "buffers" | "mayWrite">,
  reactor: WaitingReactor,
): void {
  using source = new RehearsalPool();
  using destination = new RehearsalPool();
  using cleanup = new DisposableStack();
  const open = (role: "prefill" | "decode", { layout, buffers }: RehearsalPool) => {
    const transport = factory({ ...base, role, self: `${role} rehearsal`, layout, buffers, mayWrite: () => true });
    if ("unusable" in transport) throw new KVTransferError("NO_TRANSPORT", transport.unusable, { step: "rehearsal" });
    cleanup.defer(() => transport.close());
    return transport;
  };
  const seen = { inbound: false, outbound: false, arrived: 0, written: 0 };
  let failure: KVTransferError | undefined;
  const fail = (error: KVTransferError): void => void (failure ??= error);

  const inbound = open("decode", destination).openInbound("rehearsal", {
    connected: () => (seen.inbound = true),
    heard: () => undefined,
    arrived: () => seen.arrived++,
    fenced: () => undefined,
    lost: fail,
  });
  cleanup.defer(() => inbound.close());
  const outbound = open("prefill", source).openOutbound("rehearsal", inbound.offer, {
    connected: () => (seen.outbound = true),
    written: () => seen.written++,
    failed: (_, error) => fail(error),
    lost: fail,
  });
  cleanup.defer(() => outbound.close());

  const deadline = base.now() + LIMIT_MS;
  const until = (what: string, holds: () => boolean): void => {
    while (!holds()) {
      if (failure) throw failure;
      if (base.now() > deadline)
        throw new KVTransferError("DEADLINE", `${what} took more than ${LIMIT_MS} ms`, { step: "rehearsal" });
      if (!outbound.step(base.now() + 1)) reactor.wait(1);
      else reactor.wait(0);
    }
  };
  until("the connection", () => seen.outbound);
  inbound.accept(outbound.endpoint);
  until("the receiver's end", () => seen.inbound);
  outbound.confirm();
  const practiceEnd = base.now() + PRACTICE_MS;
  for (let room = 1; room <= ROOMS && (room === 1 || base.now() < practiceEnd); room++) {
    sendRoom(room, inbound, outbound, source.layout, destination.layout);
    until("a room", () => seen.arrived === room && seen.written === room);
    inbound.forget(room);
  }
}

function sendRoom(
  tag: number,
  inbound: InboundEnd,
  outbound: OutboundEnd,
  source: KVLayout,
  destination: KVLayout,
): void {
  inbound.expect(tag);
  const bases = outbound.destinationBases;
  const sides = { source, destination, ...(bases ? { destinationBases: bases } : {}) };
  const pages = {
    sourcePages: Int32Array.of(rehearsalPage(tag)),
    destinationPages: Int32Array.of(rehearsalPage(tag + 1)),
  };
  const plan = planPages({ ...sides, ...pages, gatherLimit: outbound.gatherLimit });
  const aux = planAux({ ...sides, sourceIndex: 0, destinationIndex: 1 });
  outbound.write({ tag, plan, last: { aux, totalBytes: plan.bytes + aux.bytes } });
}

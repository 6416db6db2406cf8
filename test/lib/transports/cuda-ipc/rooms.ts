import { expect } from "bun:test";
import { KVPoll } from "../../../../lib/index.ts";
import type { ChildStart } from "../../process/child.ts";
import { Peer, until } from "../../process/peer.ts";

export const SMALL = { layers: 2, pages: 64, pageBytes: 4096, auxSlots: 8, auxBytes: 64 };
/** Enough for a transfer to last while a process is killed: 16 MiB. */
export const LARGE = { ...SMALL, pageBytes: 65_536 };
/** Both sides' pages are all over their pools. */
export const SENT = Array.from({ length: 32 }, (_, page) => (page * 37) % 64);
export const LANDED = Array.from({ length: 32 }, (_, page) => (page * 13 + 5) % 64);

export interface State {
  readonly state: KVPoll;
  readonly released: boolean;
  readonly transport?: string;
  readonly error?: { readonly code: string; readonly message: string; readonly status?: string };
}

export type Choices = Partial<Omit<ChildStart, "role">> & { readonly environment?: Record<string, string> };

/** Prefill on GPU 0, decode on GPU 1, unless told otherwise. */
export function start(role: "prefill" | "decode", { environment, ...choices }: Choices = {}): Promise<Peer> {
  const gpu = { ordinal: role === "decode" ? 1 : 0 };
  return Peer.start({ role, transport: "auto", leaseMs: 3000, pool: SMALL, gpu, ...choices }, environment);
}

export async function begin(prefill: Peer, decode: Peer, room: number, pages = SENT.length): Promise<void> {
  const slot = room % 8;
  const sent = SENT.slice(0, pages);
  await prefill.ask({ do: "open-sender", room, pages: sent, slot });
  await decode.ask({ do: "open-receiver", room, addr: prefill.address, pages: LANDED.slice(0, pages), slot });
  await prefill.ask({ do: "send", room, pages: sent });
}

/** Begins a room and sends the first half of its pages only: it stays under way for as long as the test needs. */
export async function beginHalf(prefill: Peer, decode: Peer, room = 1): Promise<void> {
  const slot = room % 8;
  await prefill.ask({ do: "open-sender", room, pages: SENT, slot });
  await decode.ask({ do: "open-receiver", room, addr: prefill.address, pages: LANDED, slot });
  await prefill.ask({ do: "send", room, pages: SENT.slice(0, SENT.length / 2) });
  const look = (): Promise<State> => prefill.ask<State>({ do: "state", room });
  await until("the transfer to begin", look, ({ state }) => state === KVPoll.Transferring);
}

/** Begins a room and waits until its pages are under way. */
export async function beginMoving(prefill: Peer, decode: Peer, room: number): Promise<void> {
  await begin(prefill, decode, room);
  const look = (): Promise<State> => prefill.ask<State>({ do: "state", room });
  await until("the transfer to begin", look, ({ state }) => state === KVPoll.Transferring);
}

export function ended(peer: Peer, room: number): Promise<State> {
  const over = ({ state }: State): boolean => state === KVPoll.Success || state === KVPoll.Failed;
  return until(`room ${room} to end`, () => peer.ask<State>({ do: "state", room }), over);
}

export async function released(peer: Peer, room: number): Promise<State> {
  return until(
    "the pages to be free",
    () => peer.ask<State>({ do: "state", room }),
    ({ released }) => released,
  );
}

/** A whole room, with its bytes looked at. */
export async function complete(
  prefill: Peer,
  decode: Peer,
  room: number,
  pages?: number,
  transport = "cuda-ipc",
): Promise<void> {
  await begin(prefill, decode, room, pages);
  expect(await ended(decode, room)).toMatchObject({ state: KVPoll.Success, transport });
  const landed = LANDED.slice(0, pages ?? SENT.length);
  expect(await decode.ask({ do: "holds", room, pages: landed, slot: room % 8 })).toEqual({ holds: true });
  expect(await ended(prefill, room)).toMatchObject({ state: KVPoll.Success });
  await prefill.ask({ do: "clear", room });
  await decode.ask({ do: "clear", room });
}

/** Rooms of one page, without looks at their bytes. */
export async function completeMany(prefill: Peer, decode: Peer, from: number, to: number): Promise<void> {
  const addr = prefill.address;
  await Promise.all([prefill, decode].map((peer) => peer.ask({ do: "many", from, to, addr })));
}

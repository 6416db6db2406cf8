import { RequestError } from "../errors.ts";
import type { BootstrapAddress, GenerationRequest } from "../scheduler/index.ts";

/** SGLang's name for a peer that is not there: warm-up and health requests go through the states without it. */
const FAKE_HOST = "2.2.2.2";

/** What warm-up and health requests name as their other half. */
export const fakeBootstrap: BootstrapAddress = { host: FAKE_HOST, port: 1, room: 0n };

/** Rooms of requests to the fake peer are our own: below the real ones' range they would clash with them. */
let fakeRooms = Number.MAX_SAFE_INTEGER;

export interface Rendezvous {
  readonly room: number;
  /** `host:port` of the registry. */
  readonly address: string;
  readonly fake: boolean;
}

/** Refuses what would hang or crash a half: no room, room 0, a negative or an inexact one, a live one, no host. */
export function checkBootstrap(request: GenerationRequest, isLive: (room: number) => boolean): void {
  const { bootstrap } = request;
  if (!bootstrap || bootstrap.room === undefined) {
    throw RequestError.invalid(
      `Disaggregated request received without bootstrap room id: expected bootstrap_host, bootstrap_port and bootstrap_room (rid ${request.id})`,
    );
  }
  if (!bootstrap.host) throw RequestError.invalid("bootstrap_host is missing: expected the prefill server's host");
  if (bootstrap.host === FAKE_HOST) return;
  const { room } = bootstrap;
  if (room < 1n || room > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw RequestError.invalid(`bootstrap_room must be an integer from 1 to 2^53-1, not ${room}`);
  }
  if (isLive(Number(room))) throw RequestError.invalid(`bootstrap_room ${room} is live already`);
}

/** Where a checked request meets its other half. */
export function rendezvousOf({ host, port, room }: BootstrapAddress, defaultPort: number): Rendezvous {
  const fake = host === FAKE_HOST;
  return { room: fake ? fakeRooms-- : Number(room), address: `${host}:${port ?? defaultPort}`, fake };
}

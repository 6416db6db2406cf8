/** What a manager's progress is set up with, from what its thread was started with; real and rehearsed ones alike. @module */
import { now } from "../clock.ts";
import type { RoomTable } from "../rooms/index.ts";
import type { Transport, TransportContext } from "../transports/transport.ts";
import { DecodeRole } from "./decode-role.ts";
import type { ControlNetwork, ProgressDependencies } from "./dependencies.ts";
import type { Progress } from "./progress.ts";
import type { PollReactor } from "./reactor.ts";
import type { ManagerStart } from "./worker-protocol.ts";

/** `progressOf` gives the progress once it is there: transports are made before it. */
export function contextFor(
  name: string,
  start: ManagerStart,
  reactor: PollReactor,
  progressOf: () => Progress | undefined,
): TransportContext {
  return {
    role: start.self.role,
    self: start.self.id,
    layout: start.self.layout,
    buffers: start.buffers,
    reactor,
    now,
    advertiseHost: start.advertiseHost,
    connectTimeoutMs: start.timeouts.connectMs,
    options: start.transportOptions[name] ?? {},
    mayWrite: (tag, address, byteLength) => {
      const role = progressOf()?.role;
      return role instanceof DecodeRole && role.owners.owns(tag, address, byteLength);
    },
  };
}

export function dependenciesOf(
  start: ManagerStart,
  table: RoomTable,
  control: ControlNetwork,
  transports: readonly Transport[],
): ProgressDependencies {
  return {
    self: { ...start.self, transports: transports.map(({ name }) => name) },
    token: start.token,
    table,
    control,
    transports,
    timeouts: start.timeouts,
    now,
    random: Math.random,
  };
}

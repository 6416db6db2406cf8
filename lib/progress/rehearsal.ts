import type { ZmqContext } from "../../ffi/zmq/index.ts";
import { now } from "../clock.ts";
import type { Member } from "../protocol/index.ts";
import { RegistrySocket } from "../registry/registry-socket.ts";
import { RoomTable } from "../rooms/index.ts";
import { RehearsalPool } from "../transports/rehearsal-pool.ts";
import type { TransportContext, TransportFactory } from "../transports/transport.ts";
import { DecodeRole } from "./decode-role.ts";
import type { Companion } from "./loop.ts";
import { Progress } from "./progress.ts";
import type { PollReactor } from "./reactor.ts";
import { RehearsalPartner } from "./rehearsal-partner.ts";
import type { RehearsalScript } from "./worker-protocol.ts";
import { ZmqControl } from "./zmq-control.ts";

/** Generous: the engine's thread ends the rehearsal, and these must not turn up in it. */
const WAIT_MS = 60_000;
const timeouts = {
  bootstrapMs: WAIT_MS,
  inputMs: WAIT_MS,
  transferMs: WAIT_MS,
  connectMs: WAIT_MS,
  leaseMs: WAIT_MS,
  idleMs: WAIT_MS,
};
const PARTNER_ROOMS = 8;

export interface RehearsalOptions {
  readonly role: Member["role"];
  /** How the rooms travel. */
  readonly transport: TransportFactory;
  /** The rooms of the engine's thread. */
  readonly table: RoomTable;
  readonly context: ZmqContext;
  readonly reactor: PollReactor;
}

/**
 * Rooms before the first real one: the manager's own role against a partner of the other, both in this thread, through a
 * registry, sockets, a ring and a room table like the real ones, over memory of their own. The same functions then
 * are compiled when they matter; those of the engine's thread, too, since that is where the rooms come from.
 */
export class Rehearsal implements Disposable {
  readonly progress: Progress;
  readonly companions: readonly Companion[];
  readonly script: RehearsalScript;
  readonly #table: RoomTable;
  readonly #cleanup: DisposableStack;

  private constructor(options: RehearsalOptions, cleanup: DisposableStack) {
    this.#table = options.table;
    this.#cleanup = cleanup;
    const registry = cleanup.use(
      RegistrySocket.bind(options.context, { host: "127.0.0.1", port: 0, leaseMs: WAIT_MS, maxMembers: 2 }),
    );
    options.reactor.watchSocket(registry.socket);
    cleanup.defer(() => options.reactor.unwatchSocket(registry.socket));
    const address = `127.0.0.1:${registry.port}`;
    const { role } = options;
    const partnerTable = RoomTable.allocate(PARTNER_ROOMS);
    const own = open(role, options.table, address, options, cleanup);
    const other = open(role === "decode" ? "prefill" : "decode", partnerTable, address, options, cleanup);
    this.progress = own.progress;
    const partner = new RehearsalPartner(other.progress, partnerTable, other.role, address);
    this.companions = [partner, registry];
    this.script = { layout: own.layout, registry: address };
  }

  /** Throws whatever keeps the rooms from being rehearsed. */
  static open(options: RehearsalOptions): Rehearsal {
    const cleanup = new DisposableStack();
    try {
      return new Rehearsal(options, cleanup);
    } catch (error) {
      cleanup.dispose();
      throw error;
    }
  }

  /** Whoever still waits for a room of it waits no longer. */
  [Symbol.dispose](): void {
    this.progress.fail(new Error("the rehearsal is over"));
    this.#cleanup.dispose();
    for (const { ref } of this.progress.role.rooms) this.#table.release(ref);
  }
}

function open(
  role: Member["role"],
  table: RoomTable,
  registry: string,
  { transport: factory, context, reactor }: RehearsalOptions,
  cleanup: DisposableStack,
) {
  const { layout, buffers } = cleanup.use(new RehearsalPool());
  let progress: Progress | undefined;
  const id = `${role} rehearsal`;
  const transport = factory({
    role,
    self: id,
    layout,
    buffers,
    reactor,
    now,
    advertiseHost: undefined,
    connectTimeoutMs: WAIT_MS,
    options: {},
    mayWrite: (tag, address, byteLength) =>
      progress?.role instanceof DecodeRole && progress.role.owners.owns(tag, address, byteLength),
  } satisfies TransportContext);
  if ("unusable" in transport) throw new Error(transport.unusable);
  cleanup.defer(() => transport.close());
  const self = { id, epoch: id, role, dpRank: 0, dpSize: 1, layout, transports: [transport.name] };
  const control = new ZmqControl(context, reactor, undefined);
  const dependencies = {
    self,
    token: undefined,
    table,
    control,
    transports: [transport],
    timeouts,
    now,
    random: Math.random,
  };
  progress = new Progress(dependencies, registry);
  cleanup.defer(() => progress.close());
  return { role, layout, progress };
}

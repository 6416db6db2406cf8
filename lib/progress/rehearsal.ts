import type { ZmqContext } from "../../ffi/zmq/index.ts";
import type { Member } from "../protocol/index.ts";
import { RegistrySocket } from "../registry/registry-socket.ts";
import { RoomTable } from "../rooms/index.ts";
import { RehearsalPool } from "../transports/rehearsal-pool.ts";
import type { TransportFactory } from "../transports/transport.ts";
import type { Companion } from "./loop.ts";
import type { Timeouts } from "./dependencies.ts";
import { Progress } from "./progress.ts";
import type { PollReactor } from "./reactor.ts";
import { RehearsalPartner } from "./rehearsal-partner.ts";
import { contextFor, dependenciesOf } from "./setup.ts";
import type { ManagerStart, RehearsalScript } from "./worker-protocol.ts";
import { ZmqControl } from "./zmq-control.ts";

/** Generous: the engine's thread ends the rehearsal, and no wait of its own must turn up in it. */
const WAIT_MS = 60_000;
const PARTNER_ROOMS = 8;

export interface RehearsalOptions {
  /** Whose role is rehearsed. */
  readonly start: ManagerStart;
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
    const { role } = options.start.self;
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
  { start: real, transport: factory, context, reactor }: RehearsalOptions,
  cleanup: DisposableStack,
) {
  const start = rehearsedStart(real, role, cleanup.use(new RehearsalPool()));
  let progress: Progress | undefined;
  const transport = factory(contextFor("", start, reactor, () => progress));
  if ("unusable" in transport) throw new Error(transport.unusable);
  cleanup.defer(() => transport.close());
  const control = new ZmqControl(context, reactor, undefined);
  progress = new Progress(dependenciesOf(start, table, control, [transport]), registry);
  cleanup.defer(() => progress.close());
  return { role, layout: start.self.layout, progress };
}

/**
 * Cloned as the real one was when it came to this thread: objects that are made in another way, even if they have
 * the same properties, make the engine throw away what it has compiled.
 */
function rehearsedStart({ self, timeouts }: ManagerStart, role: Member["role"], pool: RehearsalPool): ManagerStart {
  const id = `${role} rehearsal`;
  const { layout, buffers } = pool;
  return structuredClone({
    self: { ...self, id, epoch: id, role, dpRank: 0, dpSize: 1, layout },
    token: undefined,
    buffers,
    transportOptions: {},
    advertiseHost: undefined,
    timeouts: Object.fromEntries(Object.keys(timeouts).map((name) => [name, WAIT_MS])) as unknown as Timeouts,
  });
}

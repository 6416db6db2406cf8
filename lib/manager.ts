import { findSharedMapping } from "../ffi/libc/index.ts";
import { type KVArgs, parseArgs } from "./args.ts";
import { now } from "./clock.ts";
import { KVTransferError, KVUserError } from "./errors.ts";
import { type ManagerOptions, type ParsedManagerOptions, parseOptions } from "./options.ts";
import { auxCapacity, type KVLayout, pageCapacity } from "./planner/index.ts";
import type { Command } from "./progress/command.ts";
import { type ProgressHost, ProgressThread } from "./progress/thread.ts";
import type { Member } from "./protocol/index.ts";
import { KVReceiver, type ReceiverOptions } from "./receiver.ts";
import { KVBootstrapServer } from "./registry/bootstrap-server.ts";
import type { RoomHandle, RoomOwner } from "./room-handle.ts";
import { RoomTable } from "./rooms/index.ts";
import { type Capacity, KVSender, type SenderOptions } from "./sender.ts";
import { transportList, transportOptions } from "./transports/index.ts";
import type { RegisteredBuffer } from "./transports/transport.ts";

export interface KVManagerOptions extends ManagerOptions {
  readonly args: KVArgs;
}

/** What the parts of a manager are made from; tests give their own host. */
export interface ManagerParts {
  readonly role: "prefill" | "decode";
  readonly layout: KVLayout;
  readonly table: RoomTable;
  readonly host: ProgressHost;
  readonly bootstrapServer?: KVBootstrapServer | undefined;
  readonly now?: () => number;
}

/**
 * One rank's part in moving KV caches (SGLang's KVManager): registers the rank's memory once, keeps the connections to
 * its peers, and makes a sender or a receiver for each room. All waiting and copying is in a thread of its own.
 */
export class KVManager implements AsyncDisposable {
  readonly role: "prefill" | "decode";
  /** The registry that this manager serves, if `bootstrap.serve` was set. */
  readonly bootstrapServer: KVBootstrapServer | undefined;
  readonly #table: RoomTable;
  readonly #host: ProgressHost;
  readonly #capacity: Capacity;
  readonly #now: () => number;
  readonly #rooms = new Map<number, RoomHandle>();
  readonly #owner: RoomOwner;
  #closing: Promise<void> | undefined;

  /** Use {@link KVManager.create}. */
  constructor(parts: ManagerParts) {
    this.role = parts.role;
    this.bootstrapServer = parts.bootstrapServer;
    this.#table = parts.table;
    this.#host = parts.host;
    this.#now = parts.now ?? now;
    const finite = (count: number): number => (Number.isFinite(count) ? count : 0);
    this.#capacity = { pages: finite(pageCapacity(parts.layout)), auxSlots: finite(auxCapacity(parts.layout)) };
    this.#owner = {
      table: this.#table,
      transports: this.#host.transports,
      submit: (command: Command) => this.#host.submit(command),
      roomEnded: (handle) => {
        if (this.#rooms.get(handle.room) === handle) this.#rooms.delete(handle.room);
        this.#host.unhold();
      },
    };
  }

  /**
   * @throws {KVUserError} BAD_ARGUMENT for what cannot be right in the options
   * @throws {KVTransferError} NO_TRANSPORT, NATIVE (EADDRINUSE for the registry), DEADLINE
   */
  static async create({ args, ...rest }: KVManagerOptions): Promise<KVManager> {
    const options = parseOptions(rest);
    const { args: parsed, layout } = parseArgs(args);
    const transports = transportList(options.transport);
    const table = RoomTable.allocate(options.maxRooms);
    const bootstrapServer = await startRegistry(options);
    try {
      const host = await ProgressThread.start(
        {
          self: describeSelf(options, layout, parsed.dpRank, parsed.dpSize),
          token: options.token,
          curve: options.curve && {
            serverKey: options.curve.serverKey,
            publicKey: options.curve.publicKey,
            secretKey: options.curve.secretKey,
          },
          registryAddress:
            bootstrapServer?.address ?? (options.bootstrap && `${options.bootstrap.host}:${options.bootstrap.port}`),
          buffers: [...layout.buffers, ...layout.aux].map(({ address, length }) => registered(address, length)),
          transports,
          transportOptions: transportOptions(options.transport, options.transportOptions),
          advertiseHost: options.advertiseHost,
          timeouts: options.timeouts,
          threadMs: options.timeouts.threadMs,
        },
        table,
      );
      return new KVManager({ role: options.role, layout, table, host, bootstrapServer });
    } catch (error) {
      await bootstrapServer?.close();
      throw error;
    }
  }

  /** What this manager offers, best first. */
  get transports(): readonly string[] {
    return this.#host.transports;
  }

  /** What it cannot use, each with the reason. */
  get unusableTransports(): readonly string[] {
    return this.#host.unusable;
  }

  /** For leak checks and metrics: room slots taken, pairs, registries, rooms announced before their request. */
  get figures(): {
    readonly rooms: number;
    readonly pairs: number;
    readonly links: number;
    readonly earlyRooms: number;
  } {
    return { rooms: this.#table.used, ...this.#host.figures };
  }

  createSender(options: SenderOptions): KVSender {
    this.#assertRole("createSender", "prefill");
    return this.#open(options.room, (ref) => new KVSender(this.#owner, ref, options, this.#capacity));
  }

  createReceiver(options: ReceiverOptions): KVReceiver {
    this.#assertRole("createReceiver", "decode");
    checkAddress(options.bootstrapAddr, options.room);
    return this.#open(options.room, (ref) => new KVReceiver(this.#owner, ref, options, this.#capacity));
  }

  /**
   * Fails what is open, waits for the thread to stop. Idempotent.
   * @throws {KVTransferError} FENCE_PENDING if a peer that does not answer could still write to pages of this manager:
   * their memory must then stay mapped.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { unfenced } = await this.#host.close();
    await this.bootstrapServer?.close();
    if (unfenced === 0) return;
    const message = `${unfenced} rooms could not be fenced: keep the memory of their pages mapped`;
    throw new KVTransferError("FENCE_PENDING", message, { step: "close" });
  }

  #open<Handle extends RoomHandle>(room: number, make: (ref: { slot: number; generation: number }) => Handle): Handle {
    if (this.#closing) throw new KVUserError("CLOSED", "the manager is closed", { room });
    if (!Number.isSafeInteger(room) || room < 0) {
      throw new KVUserError("BAD_ARGUMENT", `a room is an integer from 0 to 2^53-1, not ${room}`);
    }
    if (this.#rooms.has(room)) throw new KVUserError("ROOM_EXISTS", `room ${room} is live already`, { room });
    const ref = this.#table.acquire(room, this.#now());
    this.#host.hold();
    const handle = make(ref);
    this.#rooms.set(room, handle);
    return handle;
  }

  #assertRole(call: string, role: "prefill" | "decode"): void {
    if (this.role === role) return;
    throw new KVUserError("WRONG_STATE", `${call}: this is a ${this.role} manager`);
  }
}

async function startRegistry(options: ParsedManagerOptions): Promise<KVBootstrapServer | undefined> {
  if (!options.bootstrap?.serve) return undefined;
  const { host, port } = options.bootstrap;
  const { token, curve, timeouts } = options;
  return KVBootstrapServer.start({
    host,
    port,
    leaseMs: timeouts.leaseMs,
    token,
    serverSecretKey: curve?.serverSecretKey,
  });
}

function describeSelf(options: ParsedManagerOptions, layout: KVLayout, dpRank: number, dpSize: number): Member {
  const epoch = crypto.randomUUID();
  const instance = options.instance ?? (options.role === "prefill" ? "0" : epoch.slice(0, 8));
  const id = `${options.role} ${instance} dp${dpRank} pp${layout.ppRank} tp${layout.tpRank}`;
  return { id, epoch, role: options.role, dpRank, dpSize, layout, transports: [] };
}

function registered(address: number, byteLength: number): RegisteredBuffer {
  const share = findSharedMapping(address, byteLength);
  return { address, byteLength, ...(share ? { share } : {}) };
}

function checkAddress(address: string, room: number): void {
  if (/^.+:\d{1,5}$/.test(address)) return;
  throw new KVUserError("BAD_ARGUMENT", `bootstrapAddr must be host:port, not ${JSON.stringify(address)}`, { room });
}

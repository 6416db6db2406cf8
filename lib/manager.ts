import { findSharedMapping } from "../ffi/libc/index.ts";
import { type KVArgs, parseArgs } from "./args.ts";
import { gpuOf } from "./gpu-memory.ts";
import { type ManagerOptions, type ParsedManagerOptions, parseOptions } from "./options.ts";
import type { KVLayout } from "./planner/index.ts";
import { ProgressThread } from "./progress/thread.ts";
import type { Member } from "./protocol/index.ts";
import { KVBootstrapServer } from "./registry/bootstrap-server.ts";
import { rehearse } from "./rehearsal.ts";
import { RoomFactory, type RoomParts } from "./room-factory.ts";
import { RoomTable } from "./rooms/index.ts";
import { deferCompilers, runPromptly } from "./scheduling.ts";
import { transportList, transportOptions } from "./transports/index.ts";
import type { RegisteredBuffer } from "./transports/transport.ts";

export interface KVManagerOptions extends ManagerOptions {
  readonly args: KVArgs;
}

/**
 * One rank's part in moving KV caches (SGLang's KVManager): registers the rank's memory once, keeps the connections to
 * its peers, and makes a sender or a receiver for each room. All waiting and copying is in a thread of its own.
 */
export class KVManager extends RoomFactory {
  /** The registry that this manager serves, if `bootstrap.serve` was set. */
  readonly bootstrapServer: KVBootstrapServer | undefined;

  private constructor(parts: RoomParts, bootstrapServer: KVBootstrapServer | undefined) {
    super(parts);
    this.bootstrapServer = bootstrapServer;
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
          promptThreads: options.promptThreads,
        },
        table,
      );
      await rehearse(options.role, host);
      if (options.promptThreads) {
        runPromptly();
        deferCompilers();
      }
      return new KVManager({ role: options.role, layout, table, host }, bootstrapServer);
    } catch (error) {
      await bootstrapServer?.close();
      throw error;
    }
  }

  protected override async closed(): Promise<void> {
    await this.bootstrapServer?.close();
  }
}

async function startRegistry(options: ParsedManagerOptions): Promise<KVBootstrapServer | undefined> {
  if (!options.bootstrap?.serve) return undefined;
  const { host, port } = options.bootstrap;
  const { token, curve, timeouts, promptThreads } = options;
  return KVBootstrapServer.start({
    host,
    port,
    leaseMs: timeouts.leaseMs,
    startTimeoutMs: timeouts.threadMs,
    token,
    serverSecretKey: curve?.serverSecretKey,
    promptThreads,
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
  const gpu = share ? undefined : gpuOf(address);
  return { address, byteLength, ...(share ? { share } : {}), ...(gpu === undefined ? {} : { gpu }) };
}

import { join } from "node:path";
import { ConsoleLog } from "./console-log.ts";
import { MachineError } from "./errors.ts";
import { type CommandResult, GuestProcess, type OutputListener } from "./guest-process.ts";
import { ensureInitramfs } from "./initramfs.ts";
import { ensureKernel } from "./kernel.ts";
import { ensurePackages } from "./packages.ts";
import { type Hardware, qemuCommand } from "./qemu.ts";
import { encodeFrame, FrameKind, FrameReader, type RunRequest, type TerminalSize } from "./wire.ts";

export interface MachineOptions extends Partial<Hardware> {
  /** Its host name. */
  readonly name?: string;
  /** Its IPv4 address on net0, in a /24. */
  readonly address?: string;
  /** Lines for its /etc/hosts. */
  readonly hosts?: readonly { readonly address: string; readonly name: string }[];
  /** From the start of QEMU to the guest program's first word. */
  readonly bootTimeoutMs?: number;
}

export interface SpawnOptions {
  /** This process's current folder by default. */
  readonly cwd?: string;
  /** Variables beside PATH, HOME and LANG, which are this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** After this the command's process group is killed and its code is 124. No limit by default. */
  readonly timeoutMs?: number;
  readonly terminal?: TerminalSize;
  readonly onStdout?: OutputListener;
  readonly onStderr?: OutputListener;
}

export interface RunOptions extends Omit<SpawnOptions, "terminal"> {
  readonly stdin?: string | Uint8Array;
}

/** A kernel that does not answer a kill for this long is taken for dead. */
const killGraceMs = 15_000;
const powerOffMs = 10_000;

/** Shells have the administrator's folders in PATH, users often have not; `ip`, `rdma` and `tc` live there. */
const adminPath = "/usr/local/sbin:/usr/sbin:/sbin";

/**
 * An emulated computer with the RDMA device rxe0. It reads this computer's files, as they are when it first looks at
 * each; what it writes stays in its memory. GID index 1 of rxe0 is the RoCE v2 one of its IPv4 address.
 */
export class Machine {
  readonly name: string;
  readonly address: string;
  /** Settles when QEMU is gone, for whatever reason. */
  readonly gone: Promise<void>;
  readonly #qemu: Bun.Subprocess<"pipe", "pipe", number>;
  readonly #processes = new Map<number, GuestProcess>();
  readonly #console = new ConsoleLog();
  readonly #ready = Promise.withResolvers<string>();
  #nextId = 1;
  #over = false;

  private constructor(name: string, address: string, command: string[]) {
    this.name = name;
    this.address = address;
    this.#qemu = Bun.spawn(command, { stdin: "pipe", stdout: "pipe", stderr: this.#console.descriptor });
    this.gone = this.#listen();
  }

  /**
   * Boots a machine and waits until it takes commands.
   * @throws {MachineUnavailableError} when this computer lacks something that cannot be got.
   * @throws {MachineError} when it does not come up in time, or its set-up failed.
   */
  static async boot(options: MachineOptions = {}): Promise<Machine> {
    await ensurePackages();
    const kernel = await ensureKernel();
    const initramfs = await ensureInitramfs(kernel);
    const { name = "host1", address = "10.77.0.1", bootTimeoutMs = 120_000 } = options;
    const hosts = options.hosts ?? [{ address, name }];
    const hardware = { processors: 2, memoryMiB: 4096, link: { kind: "alone" }, number: 1, ...options } as const;
    const variables = {
      KVWIRE_BUN: process.execPath,
      KVWIRE_GUEST: join(import.meta.dir, "guest.ts"),
      KVWIRE_MODULES: kernel.modules,
      KVWIRE_NAME: name,
      KVWIRE_ADDRESS: address,
      KVWIRE_HOSTS: hosts.map((host) => `${host.address}=${host.name}`).join(","),
      KVWIRE_SECOND_ADDRESS: address.replace("10.77.", "10.78."),
      KVWIRE_NIC: hardware.link.kind === "alone" ? "dummy" : "eth",
    };
    const machine = new Machine(name, address, qemuCommand(kernel, initramfs, hardware, variables));
    const timer = setTimeout(() => machine.#give(`no word from ${name} within ${bootTimeoutMs} ms`), bootTimeoutMs);
    try {
      const complaints = await machine.#ready.promise;
      if (complaints !== "") throw machine.#give(`the set-up of ${name} failed: ${complaints.trim()}`);
      return machine;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts a command: a list is a program and its arguments, a string is a line for `sh -c`. */
  spawn(command: string | readonly string[], options: SpawnOptions = {}): GuestProcess {
    const id = this.#nextId++;
    const ignore = (): void => {};
    const child = new GuestProcess(
      (kind, payload) => this.#send(kind, id, payload),
      options.onStdout ?? ignore,
      options.onStderr ?? ignore,
    );
    if (this.#over) {
      child.fail(new MachineError(`${this.name} is gone`, this.consoleTail()));
      return child;
    }
    this.#processes.set(id, child);
    const { PATH = "/usr/bin:/bin", HOME = "/root", LANG = "C.UTF-8" } = process.env;
    const env: Record<string, string> = { PATH, HOME, LANG };
    for (const [key, value] of Object.entries(options.env ?? {})) if (value !== undefined) env[key] = value;
    env["PATH"] += `:${adminPath}`;
    const request: RunRequest = {
      command: typeof command === "string" ? ["/bin/sh", "-c", command] : command,
      cwd: options.cwd ?? process.cwd(),
      env,
      ...(options.terminal ? { terminal: options.terminal } : {}),
    };
    this.#send(FrameKind.run, id, JSON.stringify(request));
    if (options.timeoutMs !== undefined) this.#limit(child, options.timeoutMs);
    return child;
  }

  /** Runs a command to its end and collects its output. Standard input is empty unless given. */
  async run(command: string | readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    const chunks = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
    const child = this.spawn(command, {
      ...options,
      onStdout: (chunk) => (chunks.stdout.push(chunk), options.onStdout?.(chunk)),
      onStderr: (chunk) => (chunks.stderr.push(chunk), options.onStderr?.(chunk)),
    });
    if (options.stdin !== undefined) child.write(options.stdin);
    child.end();
    const code = await child.exited;
    const text = (parts: Uint8Array[]): string => Buffer.concat(parts).toString();
    return { code, stdout: text(chunks.stdout), stderr: text(chunks.stderr), timedOut: child.timedOut };
  }

  /** The last lines that the kernel, the set-up and QEMU itself wrote. */
  consoleTail(lines = 40): string {
    return this.#console.tail(lines);
  }

  /** Asks the machine to power off, and cuts the power when it does not. */
  async powerOff(): Promise<void> {
    this.#send(FrameKind.powerOff, 0);
    const timer = setTimeout(() => this.#qemu.kill("SIGKILL"), powerOffMs);
    await this.gone;
    clearTimeout(timer);
  }

  /** kill -9: nothing in the machine is told, its peers hear no more of it. */
  async powerCut(): Promise<void> {
    this.#qemu.kill("SIGKILL");
    await this.gone;
  }

  /** Nothing in a machine is worth an orderly end. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.powerCut();
  }

  #limit(child: GuestProcess, timeoutMs: number): void {
    let timer = setTimeout(() => {
      child.timedOut = true;
      child.kill("SIGKILL");
      timer = setTimeout(() => this.#give(`${this.name} does not answer a kill`), killGraceMs);
    }, timeoutMs);
    const stop = (): void => clearTimeout(timer);
    child.exited.then(stop, stop);
  }

  #send(kind: FrameKind, id: number, payload: Uint8Array | string = ""): void {
    if (this.#over) return;
    this.#qemu.stdin.write(encodeFrame(kind, id, payload));
    this.#qemu.stdin.flush();
  }

  async #listen(): Promise<void> {
    const reader = new FrameReader();
    for await (const chunk of this.#qemu.stdout) {
      for (const { kind, id, payload } of reader.push(chunk)) {
        if (kind === FrameKind.ready) this.#ready.resolve(new TextDecoder().decode(payload));
        else this.#processes.get(id)?.receive(kind, payload);
        if (kind === FrameKind.exit) this.#processes.delete(id);
      }
    }
    await this.#qemu.exited;
    this.#give(`${this.name} is gone`);
    this.#console.close();
  }

  /** Gives the machine up: cuts its power and tells everybody who waits for it. */
  #give(reason: string): MachineError {
    const error = new MachineError(reason, this.consoleTail());
    this.#over = true;
    this.#qemu.kill("SIGKILL");
    this.#ready.reject(error);
    for (const child of this.#processes.values()) child.fail(error);
    this.#processes.clear();
    return error;
  }
}

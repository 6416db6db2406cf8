import { isIPv4, isIPv6 } from "node:net";
import { VerbsUserError } from "./errors.ts";

const V4_PREFIX = "00000000000000000000ffff";

/** A global identifier: 16 bytes in network order, written like an IPv6 address. Immutable. */
export class Gid {
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  static readonly zero = new Gid(new Uint8Array(16));

  static fromBytes(bytes: Uint8Array): Gid {
    if (bytes.length !== 16) throw new VerbsUserError("INVALID_ARGUMENT", `a GID has 16 bytes, not ${bytes.length}`);
    return new Gid(bytes.slice());
  }

  /** 32 hexadecimal digits in network order, as the pingpong tools send them. */
  static fromHex(hex: string): Gid {
    if (!/^[0-9a-f]{32}$/i.test(hex)) {
      throw new VerbsUserError("INVALID_ARGUMENT", `a GID is 32 hexadecimal digits, not "${hex}"`);
    }
    return new Gid(Uint8Array.fromHex(hex));
  }

  /** An IPv6 address, or an IPv4 address, which stands for ::ffff:a.b.c.d as in RoCE. */
  static parse(text: string): Gid {
    if (isIPv4(text)) return Gid.fromHex(V4_PREFIX + Uint8Array.from(text.split("."), Number).toHex());
    if (!isIPv6(text)) throw new VerbsUserError("INVALID_ARGUMENT", `"${text}" is no GID`);
    const [head, tail] = text.split("::").map((part) => (part ? part.split(":").flatMap(groupToHex) : []));
    const missing = 8 - head!.length - (tail?.length ?? 0);
    return Gid.fromHex([...head!, ...Array<string>(missing).fill("0000"), ...(tail ?? [])].join(""));
  }

  get bytes(): Uint8Array {
    return this.#bytes.slice();
  }

  /** The lower 8 bytes, which are zero in an unused table entry. */
  get interfaceId(): bigint {
    return new DataView(this.#bytes.buffer).getBigUint64(8);
  }

  get isNull(): boolean {
    return this.interfaceId === 0n;
  }

  /** The IPv4 address of an IPv4-mapped GID. */
  get ipv4(): string | undefined {
    const hex = this.toHex();
    return hex.startsWith(V4_PREFIX) ? this.#bytes.subarray(12).join(".") : undefined;
  }

  equals(other: Gid): boolean {
    return this.toHex() === other.toHex();
  }

  toHex(): string {
    return this.#bytes.toHex();
  }

  /** As inet_ntop writes it: the longest run of two or more zero groups as "::", IPv4-mapped ones with dots. */
  toString(): string {
    if (this.ipv4) return `::ffff:${this.ipv4}`;
    const groups = this.toHex()
      .match(/.{4}/g)!
      .map((group) => parseInt(group, 16).toString(16));
    const runs = [...groups.join(":").matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)];
    const longest = runs.toSorted((a, b) => b[0].length - a[0].length)[0];
    if (!longest) return groups.join(":");
    const text = groups.join(":");
    const before = text.slice(0, longest.index).replace(/:$/, "");
    const after = text.slice(longest.index + longest[0].length).replace(/^:/, "");
    return `${before}::${after}`;
  }

  /** All eight groups, as ibv_devinfo and show_gids print them. */
  toLongString(): string {
    return this.toHex().match(/.{4}/g)!.join(":");
  }
}

function groupToHex(group: string): string[] {
  if (!isIPv4(group)) return [group.padStart(4, "0")];
  return Uint8Array.from(group.split("."), Number).toHex().match(/.{4}/g)!;
}

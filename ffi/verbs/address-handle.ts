import type { Address } from "../runtime/index.ts";
import { lastErrno, StructBuffer, structs, verbs } from "./abi/index.ts";
import type { CompletionBatch } from "./completion.ts";
import { checked, created, VerbsError } from "./errors.ts";
import { Gid } from "./gid.ts";
import type { Port } from "./port.ts";
import type { ProtectionDomain } from "./protection-domain.ts";
import { requireInteger, Resource } from "./resource.ts";

/** How to reach a peer's port: by GID (always so on Ethernet), by LID, or both. */
export interface AddressAttributes {
  /** The local port to leave by, numbered from 1. */
  readonly port: number;
  /** The peer's GID; without it the address is local to the subnet. */
  readonly gid?: Gid | undefined;
  /** Which entry of the own GID table is the source. */
  readonly sourceGidIndex?: number;
  readonly hopLimit?: number;
  readonly trafficClass?: number;
  readonly flowLabel?: number;
  readonly lid?: number;
  readonly serviceLevel?: number;
  readonly sourcePathBits?: number;
  readonly staticRate?: number;
}

const DEFAULT_HOP_LIMIT = 64;

export function encodeAddress(
  attributes: AddressAttributes,
): StructBuffer<typeof structs.addressHandleAttributes.fields> {
  const encoded = new StructBuffer(structs.addressHandleAttributes)
    .set("port_num", requireInteger(attributes.port, "port", 1, 255))
    .set("dlid", requireInteger(attributes.lid ?? 0, "lid", 0, 0xffff))
    .set("sl", requireInteger(attributes.serviceLevel ?? 0, "serviceLevel", 0, 15))
    .set("src_path_bits", requireInteger(attributes.sourcePathBits ?? 0, "sourcePathBits", 0, 127))
    .set("static_rate", requireInteger(attributes.staticRate ?? 0, "staticRate", 0, 255));
  if (!attributes.gid) return encoded;
  encoded.bytes("grh.dgid").set(attributes.gid.bytes);
  return encoded
    .set("is_global", 1)
    .set("grh.sgid_index", requireInteger(attributes.sourceGidIndex ?? 0, "sourceGidIndex", 0, 255))
    .set("grh.hop_limit", requireInteger(attributes.hopLimit ?? DEFAULT_HOP_LIMIT, "hopLimit", 0, 255))
    .set("grh.traffic_class", requireInteger(attributes.trafficClass ?? 0, "trafficClass", 0, 255))
    .set("grh.flow_label", requireInteger(attributes.flowLabel ?? 0, "flowLabel", 0, 0xf_ffff));
}

export function decodeAddress(bytes: Uint8Array): AddressAttributes {
  const encoded = new StructBuffer(structs.addressHandleAttributes).copyFrom(bytes);
  const local = {
    port: encoded.get("port_num"),
    lid: encoded.get("dlid"),
    serviceLevel: encoded.get("sl"),
    sourcePathBits: encoded.get("src_path_bits"),
    staticRate: encoded.get("static_rate"),
  };
  if (encoded.get("is_global") === 0) return local;
  return {
    ...local,
    gid: Gid.fromBytes(encoded.bytes("grh.dgid")),
    sourceGidIndex: encoded.get("grh.sgid_index"),
    hopLimit: encoded.get("grh.hop_limit"),
    trafficClass: encoded.get("grh.traffic_class"),
    flowLabel: encoded.get("grh.flow_label"),
  };
}

/**
 * The address of a datagram's sender, to answer it: `batch` holds the completion, and the received buffer, at `header`,
 * begins with the 40 bytes of its route header.
 * @throws {VerbsError}
 */
export function senderAddress(port: Port, batch: CompletionBatch, index: number, header: Address): AddressAttributes {
  const { ibv_init_ah_from_wc } = verbs().symbols;
  const encoded = new StructBuffer(structs.addressHandleAttributes);
  const completion = batch.unsafeAddress + index * structs.workCompletion.size;
  const context = port.context.unsafeAddress;
  const status = ibv_init_ah_from_wc(context, port.number, completion, header, encoded.address);
  if (status !== 0) throw new VerbsError("ibv_init_ah_from_wc", lastErrno());
  return decodeAddress(encoded.buffer.bytes);
}

/** A peer's address, made known to the device: what each datagram is sent to. */
export class AddressHandle extends Resource {
  readonly protectionDomain: ProtectionDomain;

  private constructor(address: Address, domain: ProtectionDomain) {
    const { ibv_destroy_ah } = verbs().symbols;
    super({
      kind: "address handle",
      address,
      parents: [domain],
      destroy: () => checked("ibv_destroy_ah", ibv_destroy_ah(address)),
    });
    this.protectionDomain = domain;
  }

  static create(domain: ProtectionDomain, attributes: AddressAttributes): AddressHandle {
    const encoded = encodeAddress(attributes);
    const { ibv_create_ah } = verbs().symbols;
    return new AddressHandle(created("ibv_create_ah", ibv_create_ah(domain.unsafeAddress, encoded.address)), domain);
  }
}

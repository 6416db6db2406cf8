import type { Address } from "../runtime/index.ts";
import { AtomicCapability, nameOf, StructBuffer, structs, unsafeExtendedVerb, verbs } from "./abi/index.ts";
import { checked } from "./errors.ts";

const numbers = {
  vendorId: "vendor_id",
  vendorPartId: "vendor_part_id",
  hardwareVersion: "hw_ver",
  maxQueuePairs: "max_qp",
  maxQueuePairRequests: "max_qp_wr",
  capabilityFlags: "device_cap_flags",
  maxScatterGather: "max_sge",
  maxScatterGatherRead: "max_sge_rd",
  maxCompletionQueues: "max_cq",
  maxCompletionQueueEntries: "max_cqe",
  maxMemoryRegions: "max_mr",
  maxProtectionDomains: "max_pd",
  maxQueuePairReadAtomic: "max_qp_rd_atom",
  maxEeReadAtomic: "max_ee_rd_atom",
  maxResourcesReadAtomic: "max_res_rd_atom",
  maxQueuePairInitiatorReadAtomic: "max_qp_init_rd_atom",
  maxEeInitiatorReadAtomic: "max_ee_init_rd_atom",
  maxEe: "max_ee",
  maxRdd: "max_rdd",
  maxMemoryWindows: "max_mw",
  maxRawIpv6QueuePairs: "max_raw_ipv6_qp",
  maxRawEthernetQueuePairs: "max_raw_ethy_qp",
  maxMulticastGroups: "max_mcast_grp",
  maxMulticastQueuePairAttach: "max_mcast_qp_attach",
  maxTotalMulticastQueuePairAttach: "max_total_mcast_qp_attach",
  maxAddressHandles: "max_ah",
  maxFmr: "max_fmr",
  maxMapPerFmr: "max_map_per_fmr",
  maxSharedReceiveQueues: "max_srq",
  maxSharedReceiveQueueRequests: "max_srq_wr",
  maxSharedReceiveQueueScatterGather: "max_srq_sge",
  maxPartitionKeys: "max_pkeys",
  localAckDelay: "local_ca_ack_delay",
  physicalPorts: "phys_port_cnt",
} as const;

/** What ibv_query_device(3) tells; counts and sizes under names that say what they count. */
export interface DeviceAttributes extends Readonly<Record<keyof typeof numbers, number>> {
  readonly firmwareVersion: string;
  /** In host order, like `systemImageGuid`. */
  readonly nodeGuid: bigint;
  readonly systemImageGuid: bigint;
  /** Bytes. */
  readonly maxMemoryRegionSize: bigint;
  /** One bit per page size. */
  readonly pageSizes: bigint;
  readonly atomics: keyof typeof AtomicCapability | (string & {});
}

const extendedNumbers = {
  onDemandPagingRc: "odp_caps.per_transport_caps.rc_odp_caps",
  onDemandPagingUc: "odp_caps.per_transport_caps.uc_odp_caps",
  onDemandPagingUd: "odp_caps.per_transport_caps.ud_odp_caps",
  onDemandPagingXrc: "xrc_odp_caps",
  maxTso: "tso_caps.max_tso",
  tsoQueuePairTypes: "tso_caps.supported_qpts",
  rssQueuePairTypes: "rss_caps.supported_qpts",
  maxRssIndirectionTables: "rss_caps.max_rwq_indirection_tables",
  maxRssIndirectionTableSize: "rss_caps.max_rwq_indirection_table_size",
  rssHashFunctions: "rss_caps.rx_hash_function",
  maxReceiveWorkQueues: "max_wq_type_rq",
  minRateLimit: "packet_pacing_caps.qp_rate_limit_min",
  maxRateLimit: "packet_pacing_caps.qp_rate_limit_max",
  rateLimitQueuePairTypes: "packet_pacing_caps.supported_qpts",
  rawPacketCapabilities: "raw_packet_caps",
  tagMatchingMaxHeader: "tm_caps.max_rndv_hdr_size",
  tagMatchingMaxTags: "tm_caps.max_num_tags",
  tagMatchingFlags: "tm_caps.flags",
  tagMatchingMaxOperations: "tm_caps.max_ops",
  tagMatchingMaxScatterGather: "tm_caps.max_sge",
  maxModerationCount: "cq_mod_caps.max_cq_count",
  maxModerationPeriod: "cq_mod_caps.max_cq_period",
} as const;

/** What ibv_query_device_ex(3) adds; zeros where library, kernel or device are too old to say. */
export interface ExtendedDeviceAttributes
  extends DeviceAttributes, Readonly<Record<keyof typeof extendedNumbers, number>> {
  readonly onDemandPaging: bigint;
  readonly completionTimestampMask: bigint;
  /** kHz. */
  readonly coreClock: bigint;
  readonly extendedCapabilityFlags: bigint;
  readonly rssHashFields: bigint;
  /** Bytes. */
  readonly maxDeviceMemory: bigint;
}

type Plain = StructBuffer<typeof structs.deviceAttributes.fields>;

function decode(attributes: Plain): DeviceAttributes {
  const { view } = attributes.buffer;
  const { node_guid, sys_image_guid } = structs.deviceAttributes.fields;
  const text = attributes.bytes("fw_ver");
  return {
    ...pick(attributes, numbers),
    firmwareVersion: new TextDecoder().decode(text.subarray(0, text.indexOf(0))),
    nodeGuid: view.getBigUint64(node_guid.offset),
    systemImageGuid: view.getBigUint64(sys_image_guid.offset),
    maxMemoryRegionSize: attributes.getBigInt("max_mr_size"),
    pageSizes: attributes.getBigInt("page_size_cap"),
    atomics: nameOf(AtomicCapability, attributes.get("atomic_cap")),
  };
}

function pick<K extends string, N extends string>(
  source: { get(name: N): number },
  names: Readonly<Record<K, N>>,
): Record<K, number> {
  const entries = Object.entries(names) as [K, N][];
  return Object.fromEntries(entries.map(([name, member]) => [name, source.get(member)])) as Record<K, number>;
}

/** @throws {VerbsError} */
export function queryDevice(context: Address): DeviceAttributes {
  const attributes = new StructBuffer(structs.deviceAttributes);
  checked("ibv_query_device", verbs().symbols.ibv_query_device(context, attributes.address));
  return decode(attributes);
}

/** Falls back to ibv_query_device, with zeros for the rest, as C's inline function does. @throws {VerbsError} */
export function queryDeviceExtended(context: Address): ExtendedDeviceAttributes {
  const { size } = structs.extendedDeviceAttributes;
  const extended = new StructBuffer(structs.extendedDeviceAttributes);
  const call = unsafeExtendedVerb(context, "query_device_ex");
  const plain =
    call?.(context, 0, extended.address, size) === 0
      ? decode(new StructBuffer(structs.deviceAttributes, size).copyFrom(extended.buffer.bytes))
      : queryDevice(context);
  return {
    ...plain,
    ...pick(extended, extendedNumbers),
    onDemandPaging: extended.getBigInt("odp_caps.general_caps"),
    completionTimestampMask: extended.getBigInt("completion_timestamp_mask"),
    coreClock: extended.getBigInt("hca_core_clock"),
    extendedCapabilityFlags: extended.getBigInt("device_cap_flags_ex"),
    rssHashFields: extended.getBigInt("rss_caps.rx_hash_fields_mask"),
    maxDeviceMemory: extended.getBigInt("max_dm_size"),
  };
}

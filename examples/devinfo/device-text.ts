import {
  type Context,
  DeviceCapability,
  type ExtendedDeviceAttributes,
  OnDemandPaging,
} from "../../ffi/verbs/index.ts";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { atomicCapability, guid, transport } from "./names.ts";

const DEEP = "\t\t\t\t\t";

/** `\tname:` and the value in the column where ibv_devinfo has it. */
function row(name: string, value: string | number): string {
  const label = `\t${name}:`;
  const column = 40;
  const used = 8 + name.length + 1;
  return label + "\t".repeat(Math.max(1, Math.ceil((column - used) / 8))) + value;
}

const hex = (value: number | bigint, digits = 0) => `0x${value.toString(16).padStart(digits, "0")}`;

/** One line for each set bit, and what is left over. */
function flagLines(bits: number, names: readonly (readonly [string, number])[]): string[] {
  const known = names.reduce((mask, [, bit]) => mask | bit, 0);
  const lines = names.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => DEEP + name);
  const unknown = (bits & ~known) >>> 0;
  return unknown === 0 ? lines : [...lines, `${DEEP}Unknown flags: 0x${unknown.toString(16).toUpperCase()}`];
}

function onDemandLines(attributes: ExtendedDeviceAttributes): string[] {
  const names = Object.entries(OnDemandPaging).map(
    ([name, bit]) => [`SUPPORT_${name === "SRQ_RECV" ? "SRQ" : name}`, bit] as const,
  );
  const service = (name: string, bits: number) => [
    `\t${name}_odp_caps:`,
    ...(bits === 0 ? [`${DEEP}NO SUPPORT`] : flagLines(bits, names)),
  ];
  return [
    "\tgeneral_odp_caps:",
    ...flagLines(Number(attributes.onDemandPaging), [
      ["ODP_SUPPORT", 1],
      ["ODP_SUPPORT_IMPLICIT", 2],
    ]),
    ...service("rc", attributes.onDemandPagingRc),
    ...service("uc", attributes.onDemandPagingUc),
    ...service("ud", attributes.onDemandPagingUd),
    ...service("xrc", attributes.onDemandPagingXrc),
  ];
}

/** The part of the verbose listing that most devices of a data centre fill with more than zeros. */
function extendedLines(attributes: ExtendedDeviceAttributes): string[] {
  const { completionTimestampMask, coreClock, maxDeviceMemory } = attributes;
  const exFlags = attributes.extendedCapabilityFlags;
  const services = (types: number) =>
    flagLines(types, [
      ["SUPPORT_RAW_PACKET", 1 << 8],
      ["SUPPORT_UD", 1 << 4],
    ]);
  const supported = (types: number, limit: number) => (limit === 0 ? [] : ["\t\tsupported_qp:", ...services(types)]);
  return [
    completionTimestampMask === 0n
      ? "\tcompletion_timestamp_mask not supported"
      : `\tcompletion timestamp_mask:\t\t\t${hex(completionTimestampMask, 16)}`,
    coreClock === 0n ? "\tcore clock not supported" : row("hca_core_clock", `${coreClock}kHZ`),
    ...(attributes.rawPacketCapabilities === 0
      ? []
      : [
          "\traw packet caps:",
          ...flagLines(attributes.rawPacketCapabilities, [
            ["C-VLAN stripping offload", 1],
            ["Scatter FCS offload", 2],
            ["IP csum offload", 4],
            ["Delay drop", 8],
          ]),
        ]),
    row("device_cap_flags_ex", `0x${exFlags.toString(16).toUpperCase()}`),
    ...((exFlags >> 34n) & 1n ? [`${DEEP}RAW_SCATTER_FCS`] : []),
    ...((exFlags >> 36n) & 1n ? [`${DEEP}PCI_WRITE_END_PADDING`] : []),
    ...unknownExtendedFlags(exFlags),
    "\ttso_caps:",
    `\t\tmax_tso:\t\t\t${attributes.maxTso}`,
    ...supported(attributes.tsoQueuePairTypes, attributes.maxTso),
    "\trss_caps:",
    `\t\tmax_rwq_indirection_tables:\t\t\t${attributes.maxRssIndirectionTables}`,
    `\t\tmax_rwq_indirection_table_size:\t\t\t${attributes.maxRssIndirectionTableSize}`,
    `\t\trx_hash_function:\t\t\t\t${hex(attributes.rssHashFunctions)}`,
    `\t\trx_hash_fields_mask:\t\t\t\t0x${attributes.rssHashFields.toString(16).toUpperCase()}`,
    ...supported(attributes.rssQueuePairTypes, attributes.rssQueuePairTypes),
    row("max_wq_type_rq", attributes.maxReceiveWorkQueues),
    "\tpacket_pacing_caps:",
    `\t\tqp_rate_limit_min:\t${attributes.minRateLimit}kbps`,
    `\t\tqp_rate_limit_max:\t${attributes.maxRateLimit}kbps`,
    ...supported(attributes.rateLimitQueuePairTypes, attributes.maxRateLimit),
    ...tagMatchingLines(attributes),
    ...moderationLines(attributes),
    ...(maxDeviceMemory === 0n ? [] : [`\tmaximum available device memory:\t${maxDeviceMemory}Bytes`, ""]),
  ];
}

function unknownExtendedFlags(flags: bigint): string[] {
  const unknown = ((flags >> 32n) << 32n) & ~((1n << 34n) | (1n << 36n));
  return unknown === 0n ? [] : [`${DEEP}Unknown flags: 0x${unknown.toString(16).toUpperCase()}`];
}

function tagMatchingLines(attributes: ExtendedDeviceAttributes): string[] {
  if (attributes.tagMatchingMaxTags === 0) return ["\ttag matching not supported"];
  return [
    row("max_rndv_hdr_size", attributes.tagMatchingMaxHeader),
    row("max_num_tags", attributes.tagMatchingMaxTags),
    row("max_ops", attributes.tagMatchingMaxOperations),
    row("max_sge", attributes.tagMatchingMaxScatterGather),
    "\tflags:",
    ...(attributes.tagMatchingFlags & 1 ? [`${DEEP}IBV_TM_CAP_RC`] : []),
  ];
}

function moderationLines({ maxModerationCount, maxModerationPeriod }: ExtendedDeviceAttributes): string[] {
  if (maxModerationCount === 0 || maxModerationPeriod === 0) return [];
  return [
    "",
    "\tcq moderation caps:",
    `\t\tmax_cq_count:\t${maxModerationCount}`,
    `\t\tmax_cq_period:\t${maxModerationPeriod} us`,
    "",
  ];
}

function verboseLines(attributes: ExtendedDeviceAttributes, completionVectors: number): string[] {
  const capabilities = Object.entries(DeviceCapability);
  return [
    row("max_mr_size", hex(attributes.maxMemoryRegionSize)),
    row("page_size_cap", hex(attributes.pageSizes)),
    row("max_qp", attributes.maxQueuePairs),
    row("max_qp_wr", attributes.maxQueuePairRequests),
    row("device_cap_flags", hex(attributes.capabilityFlags, 8)),
    ...flagLines(attributes.capabilityFlags, capabilities),
    row("max_sge", attributes.maxScatterGather),
    row("max_sge_rd", attributes.maxScatterGatherRead),
    row("max_cq", attributes.maxCompletionQueues),
    row("max_cqe", attributes.maxCompletionQueueEntries),
    row("max_mr", attributes.maxMemoryRegions),
    row("max_pd", attributes.maxProtectionDomains),
    row("max_qp_rd_atom", attributes.maxQueuePairReadAtomic),
    row("max_ee_rd_atom", attributes.maxEeReadAtomic),
    row("max_res_rd_atom", attributes.maxResourcesReadAtomic),
    row("max_qp_init_rd_atom", attributes.maxQueuePairInitiatorReadAtomic),
    row("max_ee_init_rd_atom", attributes.maxEeInitiatorReadAtomic),
    row("atomic_cap", atomicCapability(attributes.atomics)),
    row("max_ee", attributes.maxEe),
    row("max_rdd", attributes.maxRdd),
    row("max_mw", attributes.maxMemoryWindows),
    row("max_raw_ipv6_qp", attributes.maxRawIpv6QueuePairs),
    row("max_raw_ethy_qp", attributes.maxRawEthernetQueuePairs),
    row("max_mcast_grp", attributes.maxMulticastGroups),
    row("max_mcast_qp_attach", attributes.maxMulticastQueuePairAttach),
    row("max_total_mcast_qp_attach", attributes.maxTotalMulticastQueuePairAttach),
    row("max_ah", attributes.maxAddressHandles),
    row("max_fmr", attributes.maxFmr),
    ...(attributes.maxFmr === 0 ? [] : [row("max_map_per_fmr", attributes.maxMapPerFmr)]),
    row("max_srq", attributes.maxSharedReceiveQueues),
    ...(attributes.maxSharedReceiveQueues === 0
      ? []
      : [
          row("max_srq_wr", attributes.maxSharedReceiveQueueRequests),
          row("max_srq_sge", attributes.maxSharedReceiveQueueScatterGather),
        ]),
    row("max_pkeys", attributes.maxPartitionKeys),
    row("local_ca_ack_delay", attributes.localAckDelay),
    ...onDemandLines(attributes),
    ...extendedLines(attributes),
    row("num_comp_vectors", completionVectors),
  ];
}

function boardId(sysfsPath: string): string[] {
  try {
    return [row("board_id", readFileSync(join(sysfsPath, "board_id"), "utf8").trim())];
  } catch {
    // Software devices have no board.
    return [];
  }
}

/** What ibv_devinfo prints of a device, before its ports. */
export function deviceLines(context: Context, attributes: ExtendedDeviceAttributes, verbose: boolean): string[] {
  const { device } = context;
  return [
    `hca_id:\t${device.name}`,
    row("transport", transport(device.transport)),
    ...(attributes.firmwareVersion ? [row("fw_ver", attributes.firmwareVersion)] : []),
    row("node_guid", guid(attributes.nodeGuid)),
    row("sys_image_guid", guid(attributes.systemImageGuid)),
    row("vendor_id", hex(attributes.vendorId, 4)),
    row("vendor_part_id", attributes.vendorPartId),
    row("hw_ver", `0x${attributes.hardwareVersion.toString(16).toUpperCase()}`),
    ...boardId(device.sysfsPath),
    row("phys_port_cnt", attributes.physicalPorts),
    ...(verbose ? verboseLines(attributes, context.completionVectors) : []),
  ];
}

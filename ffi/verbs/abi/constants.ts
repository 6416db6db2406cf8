/**
 * The constants of verbs.h under the names C gives them, less their prefix: `QueuePairState.RTS` is IBV_QPS_RTS.
 * `cPrefixes` lets the layout test compare every value with the compiler's.
 * @module
 */

export const NodeType = { CA: 1, SWITCH: 2, ROUTER: 3, RNIC: 4, USNIC: 5, USNIC_UDP: 6, UNSPECIFIED: 7 } as const;

export const TransportType = { IB: 0, IWARP: 1, USNIC: 2, USNIC_UDP: 3, UNSPECIFIED: 4 } as const;

/** Bits of `device_cap_flags`. */
export const DeviceCapability = {
  RESIZE_MAX_WR: 1,
  BAD_PKEY_CNTR: 1 << 1,
  BAD_QKEY_CNTR: 1 << 2,
  RAW_MULTI: 1 << 3,
  AUTO_PATH_MIG: 1 << 4,
  CHANGE_PHY_PORT: 1 << 5,
  UD_AV_PORT_ENFORCE: 1 << 6,
  CURR_QP_STATE_MOD: 1 << 7,
  SHUTDOWN_PORT: 1 << 8,
  INIT_TYPE: 1 << 9,
  PORT_ACTIVE_EVENT: 1 << 10,
  SYS_IMAGE_GUID: 1 << 11,
  RC_RNR_NAK_GEN: 1 << 12,
  SRQ_RESIZE: 1 << 13,
  N_NOTIFY_CQ: 1 << 14,
  MEM_WINDOW: 1 << 17,
  UD_IP_CSUM: 1 << 18,
  XRC: 1 << 20,
  MEM_MGT_EXTENSIONS: 1 << 21,
  MEM_WINDOW_TYPE_2A: 1 << 23,
  MEM_WINDOW_TYPE_2B: 1 << 24,
  RC_IP_CSUM: 1 << 25,
  RAW_IP_CSUM: 1 << 26,
  MANAGED_FLOW_STEERING: 1 << 29,
} as const;

export const AtomicCapability = { NONE: 0, HCA: 1, GLOB: 2 } as const;

/** Bits of the on-demand paging capabilities of one transport. */
export const OnDemandPaging = { SEND: 1, RECV: 2, WRITE: 4, READ: 8, ATOMIC: 16, SRQ_RECV: 32 } as const;

export const Mtu = { 256: 1, 512: 2, 1024: 3, 2048: 4, 4096: 5 } as const;

export const PortState = { NOP: 0, DOWN: 1, INIT: 2, ARMED: 3, ACTIVE: 4, ACTIVE_DEFER: 5 } as const;

export const LinkLayer = { UNSPECIFIED: 0, INFINIBAND: 1, ETHERNET: 2 } as const;

export const GidType = { IB: 0, ROCE_V1: 1, ROCE_V2: 2 } as const;

export const AsyncEventType = {
  CQ_ERR: 0,
  QP_FATAL: 1,
  QP_REQ_ERR: 2,
  QP_ACCESS_ERR: 3,
  COMM_EST: 4,
  SQ_DRAINED: 5,
  PATH_MIG: 6,
  PATH_MIG_ERR: 7,
  DEVICE_FATAL: 8,
  PORT_ACTIVE: 9,
  PORT_ERR: 10,
  LID_CHANGE: 11,
  PKEY_CHANGE: 12,
  SM_CHANGE: 13,
  SRQ_ERR: 14,
  SRQ_LIMIT_REACHED: 15,
  QP_LAST_WQE_REACHED: 16,
  CLIENT_REREGISTER: 17,
  GID_CHANGE: 18,
  WQ_FATAL: 19,
} as const;

export const CompletionStatus = {
  SUCCESS: 0,
  LOC_LEN_ERR: 1,
  LOC_QP_OP_ERR: 2,
  LOC_EEC_OP_ERR: 3,
  LOC_PROT_ERR: 4,
  WR_FLUSH_ERR: 5,
  MW_BIND_ERR: 6,
  BAD_RESP_ERR: 7,
  LOC_ACCESS_ERR: 8,
  REM_INV_REQ_ERR: 9,
  REM_ACCESS_ERR: 10,
  REM_OP_ERR: 11,
  RETRY_EXC_ERR: 12,
  RNR_RETRY_EXC_ERR: 13,
  LOC_RDD_VIOL_ERR: 14,
  REM_INV_RD_REQ_ERR: 15,
  REM_ABORT_ERR: 16,
  INV_EECN_ERR: 17,
  INV_EEC_STATE_ERR: 18,
  FATAL_ERR: 19,
  RESP_TIMEOUT_ERR: 20,
  GENERAL_ERR: 21,
  TM_ERR: 22,
  TM_RNDV_INCOMPLETE: 23,
} as const;

export const CompletionOpcode = {
  SEND: 0,
  RDMA_WRITE: 1,
  RDMA_READ: 2,
  COMP_SWAP: 3,
  FETCH_ADD: 4,
  BIND_MW: 5,
  LOCAL_INV: 6,
  TSO: 7,
  ATOMIC_WRITE: 9,
  RECV: 128,
  RECV_RDMA_WITH_IMM: 129,
} as const;

/** Bits of a completion's flags. */
export const CompletionFlag = { GRH: 1, WITH_IMM: 2, IP_CSUM_OK: 4, WITH_INV: 8 } as const;

/** Bits that say who may do what with a memory region, a memory window or through a queue pair. */
export const Access = {
  LOCAL_WRITE: 1,
  REMOTE_WRITE: 2,
  REMOTE_READ: 4,
  REMOTE_ATOMIC: 8,
  MW_BIND: 16,
  ZERO_BASED: 32,
  ON_DEMAND: 64,
  HUGETLB: 128,
  RELAXED_ORDERING: 0x10_0000,
} as const;

/** Access bits that a device may ignore; libibverbs takes them only through ibv_reg_mr_iova2. */
export const OPTIONAL_ACCESS_RANGE = 0x3ff0_0000;

export const MemoryWindowType = { TYPE_1: 1, TYPE_2: 2 } as const;

/** What ibv_rereg_mr is asked to change. */
export const Reregister = { CHANGE_TRANSLATION: 1, CHANGE_PD: 2, CHANGE_ACCESS: 4 } as const;

export const Advice = { PREFETCH: 0, PREFETCH_WRITE: 1, PREFETCH_NO_FAULT: 2 } as const;

export const QueuePairType = { RC: 2, UC: 3, UD: 4, RAW_PACKET: 8, XRC_SEND: 9, XRC_RECV: 10 } as const;

export const QueuePairState = { RESET: 0, INIT: 1, RTR: 2, RTS: 3, SQD: 4, SQE: 5, ERR: 6 } as const;

export const PathMigration = { MIGRATED: 0, REARM: 1, ARMED: 2 } as const;

/** Which members of ibv_qp_attr a call of ibv_modify_qp or ibv_query_qp means. */
export const QueuePairAttribute = {
  STATE: 1,
  CUR_STATE: 1 << 1,
  EN_SQD_ASYNC_NOTIFY: 1 << 2,
  ACCESS_FLAGS: 1 << 3,
  PKEY_INDEX: 1 << 4,
  PORT: 1 << 5,
  QKEY: 1 << 6,
  AV: 1 << 7,
  PATH_MTU: 1 << 8,
  TIMEOUT: 1 << 9,
  RETRY_CNT: 1 << 10,
  RNR_RETRY: 1 << 11,
  RQ_PSN: 1 << 12,
  MAX_QP_RD_ATOMIC: 1 << 13,
  ALT_PATH: 1 << 14,
  MIN_RNR_TIMER: 1 << 15,
  SQ_PSN: 1 << 16,
  MAX_DEST_RD_ATOMIC: 1 << 17,
  PATH_MIG_STATE: 1 << 18,
  CAP: 1 << 19,
  DEST_QPN: 1 << 20,
  RATE_LIMIT: 1 << 25,
} as const;

export const SharedReceiveQueueAttribute = { MAX_WR: 1, LIMIT: 2 } as const;

export const WorkRequestOpcode = {
  RDMA_WRITE: 0,
  RDMA_WRITE_WITH_IMM: 1,
  SEND: 2,
  SEND_WITH_IMM: 3,
  RDMA_READ: 4,
  ATOMIC_CMP_AND_SWP: 5,
  ATOMIC_FETCH_AND_ADD: 6,
  LOCAL_INV: 7,
  BIND_MW: 8,
  SEND_WITH_INV: 9,
} as const;

/** Bits that modify a posted send request. */
export const SendFlag = { FENCE: 1, SIGNALED: 2, SOLICITED: 4, INLINE: 8, IP_CSUM: 16 } as const;

export const cPrefixes = {
  IBV_NODE_: NodeType,
  IBV_TRANSPORT_: TransportType,
  IBV_DEVICE_: DeviceCapability,
  IBV_ATOMIC_: AtomicCapability,
  IBV_ODP_SUPPORT_: OnDemandPaging,
  IBV_MTU_: Mtu,
  IBV_PORT_: PortState,
  IBV_LINK_LAYER_: LinkLayer,
  IBV_GID_TYPE_: GidType,
  IBV_EVENT_: AsyncEventType,
  IBV_WC_: { ...CompletionStatus, ...CompletionOpcode, ...CompletionFlag },
  IBV_ACCESS_: { ...Access, OPTIONAL_RANGE: OPTIONAL_ACCESS_RANGE },
  IBV_MW_: MemoryWindowType,
  IBV_REREG_MR_: Reregister,
  IBV_ADVISE_MR_ADVICE_: Advice,
  IBV_QPT_: QueuePairType,
  IBV_QPS_: QueuePairState,
  IBV_MIG_: PathMigration,
  IBV_QP_: QueuePairAttribute,
  IBV_SRQ_: SharedReceiveQueueAttribute,
  IBV_WR_: WorkRequestOpcode,
  IBV_SEND_: SendFlag,
} as const;

/** The name of a value in one of the tables above, or the number itself where the table has none. */
export function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  for (const name in table) if (table[name] === value) return name;
  return String(value);
}

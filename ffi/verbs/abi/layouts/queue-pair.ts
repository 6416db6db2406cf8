import {
  type Architecture,
  bytes,
  conditionBytes,
  i32,
  mutexBytes,
  pointer,
  struct,
  u16,
  u32,
  u64,
  u8,
} from "../layout.ts";

export const queuePairCapabilities = struct("ibv_qp_cap", 20, {
  max_send_wr: u32(0),
  max_recv_wr: u32(4),
  max_send_sge: u32(8),
  max_recv_sge: u32(12),
  max_inline_data: u32(16),
});

const initFields = {
  qp_context: pointer(0),
  send_cq: pointer(8),
  recv_cq: pointer(16),
  srq: pointer(24),
  "cap.max_send_wr": u32(32),
  "cap.max_recv_wr": u32(36),
  "cap.max_send_sge": u32(40),
  "cap.max_recv_sge": u32(44),
  "cap.max_inline_data": u32(48),
  qp_type: i32(52),
  sq_sig_all: i32(56),
} as const;

export const queuePairInitAttributes = struct("ibv_qp_init_attr", 64, initFields);

export const extendedQueuePairInitAttributes = struct("ibv_qp_init_attr_ex", 136, {
  ...initFields,
  comp_mask: u32(60),
  pd: pointer(64),
  xrcd: pointer(72),
  create_flags: u32(80),
  max_tso_header: u16(84),
  rwq_ind_tbl: pointer(88),
  source_qpn: u32(120),
  send_ops_flags: u64(128),
});

export const queuePairAttributes = struct("ibv_qp_attr", 144, {
  qp_state: i32(0),
  cur_qp_state: i32(4),
  path_mtu: i32(8),
  path_mig_state: i32(12),
  qkey: u32(16),
  rq_psn: u32(20),
  sq_psn: u32(24),
  dest_qp_num: u32(28),
  qp_access_flags: u32(32),
  "cap.max_send_wr": u32(36),
  "cap.max_recv_wr": u32(40),
  "cap.max_send_sge": u32(44),
  "cap.max_recv_sge": u32(48),
  "cap.max_inline_data": u32(52),
  ah_attr: bytes(56, 32),
  alt_ah_attr: bytes(88, 32),
  pkey_index: u16(120),
  alt_pkey_index: u16(122),
  en_sqd_async_notify: u8(124),
  sq_draining: u8(125),
  max_rd_atomic: u8(126),
  max_dest_rd_atomic: u8(127),
  min_rnr_timer: u8(128),
  port_num: u8(129),
  timeout: u8(130),
  retry_cnt: u8(131),
  rnr_retry: u8(132),
  alt_port_num: u8(133),
  alt_timeout: u8(134),
  rate_limit: u32(136),
});

export function queuePairLayout(architecture: Architecture) {
  const counter = 64 + mutexBytes[architecture] + conditionBytes;
  return struct("ibv_qp", counter + 8, {
    context: pointer(0),
    qp_context: pointer(8),
    pd: pointer(16),
    send_cq: pointer(24),
    recv_cq: pointer(32),
    srq: pointer(40),
    handle: u32(48),
    qp_num: u32(52),
    state: i32(56),
    qp_type: i32(60),
    events_completed: u32(counter),
  });
}

export function sharedReceiveQueueLayout(architecture: Architecture) {
  const counter = 32 + mutexBytes[architecture] + conditionBytes;
  return struct("ibv_srq", counter + 8, {
    context: pointer(0),
    srq_context: pointer(8),
    pd: pointer(16),
    handle: u32(24),
    events_completed: u32(counter),
  });
}

export const sharedReceiveQueueAttributes = struct("ibv_srq_attr", 12, {
  max_wr: u32(0),
  max_sge: u32(4),
  srq_limit: u32(8),
});

export const sharedReceiveQueueInitAttributes = struct("ibv_srq_init_attr", 24, {
  srq_context: pointer(0),
  "attr.max_wr": u32(8),
  "attr.max_sge": u32(12),
  "attr.srq_limit": u32(16),
});

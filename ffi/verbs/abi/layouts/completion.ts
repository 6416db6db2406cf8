import { type Architecture, conditionBytes, i32, mutexBytes, pointer, struct, u16, u32, u64, u8 } from "../layout.ts";

export const workCompletion = struct("ibv_wc", 48, {
  wr_id: u64(0),
  status: i32(8),
  opcode: i32(12),
  vendor_err: u32(16),
  byte_len: u32(20),
  imm_data: u32(24),
  invalidated_rkey: u32(24),
  qp_num: u32(28),
  src_qp: u32(32),
  wc_flags: u32(36),
  pkey_index: u16(40),
  slid: u16(42),
  sl: u8(44),
  dlid_path_bits: u8(45),
});

export const completionChannel = struct("ibv_comp_channel", 16, { context: pointer(0), fd: i32(8), refcnt: i32(12) });

export function completionQueueLayout(architecture: Architecture) {
  const condition = 32 + mutexBytes[architecture];
  const counters = condition + conditionBytes;
  return struct("ibv_cq", counters + 8, {
    context: pointer(0),
    channel: pointer(8),
    cq_context: pointer(16),
    handle: u32(24),
    cqe: i32(28),
    comp_events_completed: u32(counters),
    async_events_completed: u32(counters + 4),
  });
}

export const modifyCompletionQueue = struct("ibv_modify_cq_attr", 8, {
  attr_mask: u32(0),
  "moderate.cq_count": u16(4),
  "moderate.cq_period": u16(6),
});

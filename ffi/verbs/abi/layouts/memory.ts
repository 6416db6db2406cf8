import { i32, pointer, struct, u32, u64 } from "../layout.ts";

export const protectionDomain = struct("ibv_pd", 16, { context: pointer(0), handle: u32(8) });

export const memoryRegion = struct("ibv_mr", 48, {
  context: pointer(0),
  pd: pointer(8),
  addr: pointer(16),
  length: u64(24),
  handle: u32(32),
  lkey: u32(36),
  rkey: u32(40),
});

export const memoryWindow = struct("ibv_mw", 32, {
  context: pointer(0),
  pd: pointer(8),
  rkey: u32(16),
  handle: u32(20),
  type: i32(24),
});

export const memoryWindowBindInfo = struct("ibv_mw_bind_info", 32, {
  mr: pointer(0),
  addr: u64(8),
  length: u64(16),
  mw_access_flags: u32(24),
});

export const memoryWindowBind = struct("ibv_mw_bind", 48, {
  wr_id: u64(0),
  send_flags: u32(8),
  "bind_info.mr": pointer(16),
  "bind_info.addr": u64(24),
  "bind_info.length": u64(32),
  "bind_info.mw_access_flags": u32(40),
});

export const deviceMemory = struct("ibv_dm", 32, {
  context: pointer(0),
  memcpy_to_dm: pointer(8),
  memcpy_from_dm: pointer(16),
  comp_mask: u32(24),
  handle: u32(28),
});

export const deviceMemoryAttributes = struct("ibv_alloc_dm_attr", 16, {
  length: u64(0),
  log_align_req: u32(8),
  comp_mask: u32(12),
});

export const xrcDomainAttributes = struct("ibv_xrcd_init_attr", 12, { comp_mask: u32(0), fd: i32(4), oflags: i32(8) });

export const scatterGatherEntry = struct("ibv_sge", 16, { addr: u64(0), length: u32(8), lkey: u32(12) });

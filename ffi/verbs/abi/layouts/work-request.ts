import { i32, pointer, struct, u16, u32, u64 } from "../layout.ts";

export const sendWorkRequest = struct("ibv_send_wr", 128, {
  wr_id: u64(0),
  next: pointer(8),
  sg_list: pointer(16),
  num_sge: i32(24),
  opcode: i32(28),
  send_flags: u32(32),
  imm_data: u32(36),
  invalidate_rkey: u32(36),
  "wr.rdma.remote_addr": u64(40),
  "wr.rdma.rkey": u32(48),
  "wr.atomic.remote_addr": u64(40),
  "wr.atomic.compare_add": u64(48),
  "wr.atomic.swap": u64(56),
  "wr.atomic.rkey": u32(64),
  "wr.ud.ah": pointer(40),
  "wr.ud.remote_qpn": u32(48),
  "wr.ud.remote_qkey": u32(52),
  "qp_type.xrc.remote_srqn": u32(72),
  "bind_mw.mw": pointer(80),
  "bind_mw.rkey": u32(88),
  "bind_mw.bind_info.mr": pointer(96),
  "bind_mw.bind_info.addr": u64(104),
  "bind_mw.bind_info.length": u64(112),
  "bind_mw.bind_info.mw_access_flags": u32(120),
  "tso.hdr": pointer(80),
  "tso.hdr_sz": u16(88),
  "tso.mss": u16(90),
});

export const receiveWorkRequest = struct("ibv_recv_wr", 32, {
  wr_id: u64(0),
  next: pointer(8),
  sg_list: pointer(16),
  num_sge: i32(24),
});

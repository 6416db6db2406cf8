import { bytes, i32, struct, u16, u32, u64, u8, union } from "../layout.ts";

const currentPortAttributes = struct("ibv_port_attr", 52, {
  state: i32(0),
  max_mtu: i32(4),
  active_mtu: i32(8),
  gid_tbl_len: i32(12),
  port_cap_flags: u32(16),
  max_msg_sz: u32(20),
  bad_pkey_cntr: u32(24),
  qkey_viol_cntr: u32(28),
  pkey_tbl_len: u16(32),
  lid: u16(34),
  sm_lid: u16(36),
  lmc: u8(38),
  max_vl_num: u8(39),
  sm_sl: u8(40),
  subnet_timeout: u8(41),
  init_type_reply: u8(42),
  active_width: u8(43),
  active_speed: u8(44),
  phys_state: u8(45),
  link_layer: u8(46),
  flags: u8(47),
  port_cap_flags2: u16(48),
});

/** 56 bytes in newer headers, with active_speed_ex at 52: give the library at least that much. */
export const portAttributes = { ...currentPortAttributes, extensible: true } as const;

export const gid = union("ibv_gid", 16, {
  raw: bytes(0, 16),
  "global.subnet_prefix": u64(0),
  "global.interface_id": u64(8),
});

export const gidEntry = struct("ibv_gid_entry", 32, {
  gid: bytes(0, 16),
  gid_index: u32(16),
  port_num: u32(20),
  gid_type: u32(24),
  ndev_ifindex: u32(28),
});

export const globalRoute = struct("ibv_global_route", 24, {
  dgid: bytes(0, 16),
  flow_label: u32(16),
  sgid_index: u8(20),
  hop_limit: u8(21),
  traffic_class: u8(22),
});

export const globalRouteHeader = struct("ibv_grh", 40, {
  version_tclass_flow: u32(0),
  paylen: u16(4),
  next_hdr: u8(6),
  hop_limit: u8(7),
  sgid: bytes(8, 16),
  dgid: bytes(24, 16),
});

export const addressHandleAttributes = struct("ibv_ah_attr", 32, {
  "grh.dgid": bytes(0, 16),
  "grh.flow_label": u32(16),
  "grh.sgid_index": u8(20),
  "grh.hop_limit": u8(21),
  "grh.traffic_class": u8(22),
  dlid: u16(24),
  sl: u8(26),
  src_path_bits: u8(27),
  static_rate: u8(28),
  is_global: u8(29),
  port_num: u8(30),
});

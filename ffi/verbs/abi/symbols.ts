import type { Signature, SymbolTable } from "../../runtime/index.ts";

const deviceList = {
  ibv_get_device_list: { parameters: ["pointer" /* int *num */], result: "pointer" },
  ibv_free_device_list: { parameters: ["pointer" /* struct ibv_device ** */], result: "void" },
  ibv_get_device_name: { parameters: ["pointer" /* struct ibv_device * */], result: "pointer" },
  ibv_get_device_guid: { parameters: ["pointer"], result: "u64" /* big-endian */ },
  ibv_open_device: { parameters: ["pointer"], result: "pointer" },
  ibv_close_device: { parameters: ["pointer"], result: "i32" },
} as const satisfies SymbolTable;

const queries = {
  ibv_query_device: { parameters: ["pointer", "pointer" /* struct ibv_device_attr * */], result: "i32" },
  ibv_query_port: { parameters: ["pointer", "u8", "pointer" /* struct ibv_port_attr * */], result: "i32" },
  ibv_query_gid: { parameters: ["pointer", "u8", "i32", "pointer" /* union ibv_gid * */], result: "i32" },
  ibv_query_pkey: { parameters: ["pointer", "u8", "i32", "pointer" /* __be16 * */], result: "i32" },
  ibv_get_async_event: { parameters: ["pointer", "pointer" /* struct ibv_async_event * */], result: "i32" },
  ibv_ack_async_event: { parameters: ["pointer"], result: "void" },
} as const satisfies SymbolTable;

const memory = {
  ibv_alloc_pd: { parameters: ["pointer"], result: "pointer" },
  ibv_dealloc_pd: { parameters: ["pointer"], result: "i32" },
  ibv_reg_mr: { parameters: ["pointer", "pointer", "usize", "i32" /* access */], result: "pointer" },
  ibv_dereg_mr: { parameters: ["pointer"], result: "i32" },
  ibv_rereg_mr: { parameters: ["pointer", "i32", "pointer", "pointer", "usize", "i32"], result: "i32" },
} as const satisfies SymbolTable;

const completion = {
  ibv_create_comp_channel: { parameters: ["pointer"], result: "pointer" },
  ibv_destroy_comp_channel: { parameters: ["pointer"], result: "i32" },
  ibv_create_cq: {
    parameters: ["pointer", "i32" /* cqe */, "pointer" /* context */, "pointer" /* channel */, "i32" /* vector */],
    result: "pointer",
  },
  ibv_resize_cq: { parameters: ["pointer", "i32"], result: "i32" },
  ibv_destroy_cq: { parameters: ["pointer"], result: "i32" },
  ibv_get_cq_event: { parameters: ["pointer", "pointer" /* ibv_cq ** */, "pointer" /* void ** */], result: "i32" },
  ibv_ack_cq_events: { parameters: ["pointer", "u32"], result: "void" },
} as const satisfies SymbolTable;

const queues = {
  ibv_create_qp: { parameters: ["pointer", "pointer" /* struct ibv_qp_init_attr * */], result: "pointer" },
  ibv_modify_qp: { parameters: ["pointer", "pointer" /* struct ibv_qp_attr * */, "i32" /* mask */], result: "i32" },
  ibv_query_qp: { parameters: ["pointer", "pointer", "i32", "pointer"], result: "i32" },
  ibv_destroy_qp: { parameters: ["pointer"], result: "i32" },
  ibv_create_srq: { parameters: ["pointer", "pointer" /* struct ibv_srq_init_attr * */], result: "pointer" },
  ibv_modify_srq: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  ibv_query_srq: { parameters: ["pointer", "pointer"], result: "i32" },
  ibv_destroy_srq: { parameters: ["pointer"], result: "i32" },
  ibv_create_ah: { parameters: ["pointer", "pointer" /* struct ibv_ah_attr * */], result: "pointer" },
  ibv_init_ah_from_wc: { parameters: ["pointer", "u8", "pointer", "pointer", "pointer"], result: "i32" },
  ibv_destroy_ah: { parameters: ["pointer"], result: "i32" },
  ibv_attach_mcast: { parameters: ["pointer", "pointer" /* union ibv_gid * */, "u16" /* lid */], result: "i32" },
  ibv_detach_mcast: { parameters: ["pointer", "pointer", "u16"], result: "i32" },
} as const satisfies SymbolTable;

/** What every libibverbs since 1.1 exports under its default version. */
export const requiredSymbols = { ...deviceList, ...queries, ...memory, ...completion, ...queues } as const;

/** What came later; the version that brought each is in the comment. */
export const optionalSymbols = {
  /* IBVERBS_1.1, but not in every static build */
  ibv_fork_init: { parameters: [], result: "i32" },
  /* 1.5 */
  ibv_get_pkey_index: { parameters: ["pointer", "u8", "u16" /* __be16 */], result: "i32" },
  /* 1.7 */
  ibv_reg_mr_iova: { parameters: ["pointer", "pointer", "usize", "u64", "i32"], result: "pointer" },
  /* 1.8 */
  ibv_reg_mr_iova2: { parameters: ["pointer", "pointer", "usize", "u64" /* iova */, "u32"], result: "pointer" },
  /* 1.9 */
  ibv_get_device_index: { parameters: ["pointer"], result: "i32" },
  /* 1.11 */
  _ibv_query_gid_ex: { parameters: ["pointer", "u32", "u32", "pointer", "u32", "usize"], result: "i32" },
  _ibv_query_gid_table: {
    parameters: ["pointer", "pointer" /* entries */, "usize" /* max */, "u32" /* flags */, "usize" /* entry size */],
    result: "isize",
  },
  /* 1.12 */
  ibv_reg_dmabuf_mr: { parameters: ["pointer", "u64", "usize", "u64", "i32" /* fd */, "i32"], result: "pointer" },
  /* 1.14 */
  ibv_query_qp_data_in_order: { parameters: ["pointer", "i32", "u32"], result: "i32" },
} as const satisfies SymbolTable;

/** Verbs that C calls through the context's table of pointers, because libibverbs has no symbol for them. */
export const inlineVerbs = {
  alloc_mw: { parameters: ["pointer", "i32" /* type */], result: "pointer" },
  bind_mw: { parameters: ["pointer", "pointer", "pointer" /* struct ibv_mw_bind * */], result: "i32" },
  dealloc_mw: { parameters: ["pointer"], result: "i32" },
  poll_cq: { parameters: ["pointer", "i32" /* entries */, "pointer" /* struct ibv_wc * */], result: "i32" },
  req_notify_cq: { parameters: ["pointer", "i32" /* solicited only */], result: "i32" },
  post_srq_recv: { parameters: ["pointer", "pointer", "pointer" /* bad */], result: "i32" },
  post_send: { parameters: ["pointer", "pointer" /* struct ibv_send_wr * */, "pointer" /* bad */], result: "i32" },
  post_recv: { parameters: ["pointer", "pointer" /* struct ibv_recv_wr * */, "pointer" /* bad */], result: "i32" },
} as const satisfies SymbolTable;

export type InlineVerb = keyof typeof inlineVerbs;

/** The extended verbs this project calls, by their member's name in struct verbs_context. */
export const extendedVerbs = {
  query_port: { parameters: ["pointer", "u8", "pointer", "usize" /* sizeof */], result: "i32" },
  advise_mr: { parameters: ["pointer", "i32" /* advice */, "u32", "pointer" /* sges */, "u32"], result: "i32" },
  alloc_null_mr: { parameters: ["pointer"], result: "pointer" },
  alloc_dm: { parameters: ["pointer", "pointer" /* struct ibv_alloc_dm_attr * */], result: "pointer" },
  free_dm: { parameters: ["pointer"], result: "i32" },
  reg_dm_mr: { parameters: ["pointer", "pointer", "u64", "usize", "u32"], result: "pointer" },
  modify_cq: { parameters: ["pointer", "pointer" /* struct ibv_modify_cq_attr * */], result: "i32" },
  query_device_ex: { parameters: ["pointer", "pointer", "pointer", "usize" /* sizeof */], result: "i32" },
  get_srq_num: { parameters: ["pointer", "pointer" /* uint32_t * */], result: "i32" },
  open_xrcd: { parameters: ["pointer", "pointer" /* struct ibv_xrcd_init_attr * */], result: "pointer" },
  close_xrcd: { parameters: ["pointer"], result: "i32" },
} as const satisfies Readonly<Record<string, Signature>>;

export type CallableExtendedVerb = keyof typeof extendedVerbs;

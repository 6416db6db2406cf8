import { type Architecture, i32, mutexBytes, pointer, struct, type StructLayout, u64 } from "../layout.ts";

/** The context begins with the table of inline verbs; only what stands behind its mutex moves between architectures. */
export function contextLayout(architecture: Architecture) {
  const mutex = 280;
  const end = mutex + mutexBytes[architecture];
  return struct("ibv_context", end + 8, {
    device: pointer(0),
    "ops.alloc_mw": pointer(64),
    "ops.bind_mw": pointer(72),
    "ops.dealloc_mw": pointer(80),
    "ops.poll_cq": pointer(96),
    "ops.req_notify_cq": pointer(104),
    "ops.post_srq_recv": pointer(168),
    "ops.post_send": pointer(208),
    "ops.post_recv": pointer(216),
    cmd_fd: i32(264),
    async_fd: i32(268),
    num_comp_vectors: i32(272),
    abi_compat: pointer(end),
  });
}

const extendedFields = {
  query_port: pointer(-320),
  advise_mr: pointer(-312),
  alloc_null_mr: pointer(-304),
  reg_dm_mr: pointer(-264),
  alloc_dm: pointer(-256),
  free_dm: pointer(-248),
  modify_qp_rate_limit: pointer(-216),
  alloc_parent_domain: pointer(-208),
  dealloc_td: pointer(-200),
  alloc_td: pointer(-192),
  modify_cq: pointer(-184),
  query_rt_values: pointer(-128),
  create_cq_ex: pointer(-120),
  query_device_ex: pointer(-104),
  open_qp: pointer(-64),
  create_qp_ex: pointer(-56),
  get_srq_num: pointer(-48),
  create_srq_ex: pointer(-40),
  open_xrcd: pointer(-32),
  close_xrcd: pointer(-24),
  sz: u64(-8),
} as const;

export type ExtendedVerb = Exclude<keyof typeof extendedFields, "sz">;

/**
 * The table of extended verbs that stands in front of the context and grows towards lower addresses. Its size in the
 * headers is a lower bound only, so offsets are counted from the context.
 */
export function extendedContextLayout(architecture: Architecture): StructLayout<typeof extendedFields> {
  const size = contextLayout(architecture).size + 320;
  return { ...struct("verbs_context", size, extendedFields), relativeTo: "context", extensible: true };
}

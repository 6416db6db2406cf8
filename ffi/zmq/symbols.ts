import type { SymbolTable } from "../runtime/index.ts";

/** The functions of libzmq 4.3 that are used here, in the order of zmq.h. `void *` handles are addresses. */
export const symbols = {
  zmq_errno: { parameters: [], result: "i32" },
  zmq_strerror: { parameters: ["i32"], result: "pointer" },
  zmq_version: { parameters: ["pointer", "pointer", "pointer"], result: "void" },

  zmq_ctx_new: { parameters: [], result: "pointer" },
  zmq_ctx_term: { parameters: ["pointer"], result: "i32" },
  zmq_ctx_set: { parameters: ["pointer", "i32", "i32"], result: "i32" },

  zmq_msg_init: { parameters: ["pointer"], result: "i32" },
  zmq_msg_init_size: { parameters: ["pointer", "usize"], result: "i32" },
  zmq_msg_send: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  zmq_msg_recv: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  zmq_msg_close: { parameters: ["pointer"], result: "i32" },
  zmq_msg_data: { parameters: ["pointer"], result: "pointer" },
  zmq_msg_size: { parameters: ["pointer"], result: "usize" },
  zmq_msg_more: { parameters: ["pointer"], result: "i32" },
  zmq_msg_gets: { parameters: ["pointer", "cstring"], result: "pointer" },

  zmq_socket: { parameters: ["pointer", "i32"], result: "pointer" },
  zmq_close: { parameters: ["pointer"], result: "i32" },
  zmq_setsockopt: { parameters: ["pointer", "i32", "pointer", "usize"], result: "i32" },
  zmq_getsockopt: { parameters: ["pointer", "i32", "pointer", "pointer"], result: "i32" },
  zmq_bind: { parameters: ["pointer", "cstring"], result: "i32" },
  zmq_connect: { parameters: ["pointer", "cstring"], result: "i32" },
  zmq_unbind: { parameters: ["pointer", "cstring"], result: "i32" },
  zmq_disconnect: { parameters: ["pointer", "cstring"], result: "i32" },
  zmq_send: { parameters: ["pointer", "pointer", "usize", "i32"], result: "i32" },

  zmq_poll: { parameters: ["pointer", "i32", "isize"], result: "i32" },
  zmq_has: { parameters: ["cstring"], result: "i32" },

  zmq_z85_encode: { parameters: ["pointer", "pointer", "usize"], result: "pointer" },
  zmq_z85_decode: { parameters: ["pointer", "cstring"], result: "pointer" },
  zmq_curve_keypair: { parameters: ["pointer", "pointer"], result: "i32" },
  zmq_curve_public: { parameters: ["pointer", "cstring"], result: "i32" },

  /** Not libzmq's: the dynamic linker finds it in the C library that libzmq itself is linked with. */
  memcpy: { parameters: ["pointer", "pointer", "usize"], result: "pointer" },
} as const satisfies SymbolTable;

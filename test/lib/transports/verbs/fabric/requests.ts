import { unsafeViewAt } from "../../../../../ffi/runtime/index.ts";
import { structs } from "../../../../../ffi/verbs/abi/index.ts";
import type { ReceiveList, SendList } from "../../../../../ffi/verbs/index.ts";

const send = structs.sendWorkRequest.fields;
const common = structs.receiveWorkRequest.fields;
const entry = structs.scatterGatherEntry;

export interface Piece {
  readonly address: number;
  readonly byteLength: number;
  readonly key: number;
}

export interface Request {
  readonly id: number;
  readonly opcode: number;
  readonly flags: number;
  /** In host order. */
  readonly immediate: number;
  readonly remote: number;
  readonly key: number;
  /** Of a bind: what it makes writable. */
  readonly window: { readonly key: number; readonly address: number; readonly byteLength: number };
  /** Of an invalidation, in the field of the immediate. */
  readonly dead: number;
  readonly pieces: readonly Piece[];
}

/** The requests of a list, read as a device reads them. */
export function readRequests(list: SendList | ReceiveList): Request[] {
  const requests: Request[] = [];
  list.unsafePost(
    (_, first) => {
      for (let at = first; at !== 0;) {
        const view = new DataView(unsafeViewAt(at, structs.sendWorkRequest.size));
        requests.push(readRequest(view));
        at = Number(view.getBigUint64(common.next.offset, true));
      }
      return 0;
    },
    1,
    "the fabric",
  );
  return requests;
}

function readRequest(view: DataView): Request {
  const first = Number(view.getBigUint64(common.sg_list.offset, true));
  const count = view.getInt32(common.num_sge.offset, true);
  return {
    id: Number(view.getBigUint64(common.wr_id.offset, true)),
    opcode: view.getUint32(send.opcode.offset, true),
    flags: view.getUint32(send.send_flags.offset, true),
    immediate: view.getUint32(send.imm_data.offset, false),
    remote: Number(view.getBigUint64(send["wr.rdma.remote_addr"].offset, true)),
    key: view.getUint32(send["wr.rdma.rkey"].offset, true),
    window: {
      key: view.getUint32(send["bind_mw.rkey"].offset, true),
      address: Number(view.getBigUint64(send["bind_mw.bind_info.addr"].offset, true)),
      byteLength: Number(view.getBigUint64(send["bind_mw.bind_info.length"].offset, true)),
    },
    dead: view.getUint32(send.imm_data.offset, true),
    pieces: Array.from({ length: count }, (_, index) => {
      const piece = new DataView(unsafeViewAt(first + index * entry.size, entry.size));
      return {
        address: Number(piece.getBigUint64(entry.fields.addr.offset, true)),
        byteLength: piece.getUint32(entry.fields.length.offset, true),
        key: piece.getUint32(entry.fields.lkey.offset, true),
      };
    }),
  };
}

"""The other side of pyverbs.rdma.test.ts: one line of JSON in, one line of JSON out, for each step."""

import json
import sys

import pyverbs.enums as e
from pyverbs.addr import AHAttr, GID, GlobalRoute
from pyverbs.cq import CQ
from pyverbs.device import Context
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
from pyverbs.wr import SGE, SendWR

SIZE = 4096
PSN = 0x654321


def tell(**answer):
    print(json.dumps(answer), flush=True)


def hear():
    return json.loads(sys.stdin.readline())


class Peer:
    def __init__(self, device, gid_index):
        access = (
            e.IBV_ACCESS_LOCAL_WRITE
            | e.IBV_ACCESS_REMOTE_WRITE
            | e.IBV_ACCESS_REMOTE_READ
            | e.IBV_ACCESS_REMOTE_ATOMIC
        )
        self.gid_index = gid_index
        self.context = Context(name=device)
        self.domain = PD(self.context)
        self.region = MR(self.domain, SIZE, access)
        self.completions = CQ(self.context, 16)
        attributes = QPInitAttr(qp_type=e.IBV_QPT_RC, scq=self.completions, rcq=self.completions, cap=QPCap())
        self.queue_pair = QP(self.domain, attributes)
        self.access = access

    def connect(self, remote):
        route = GlobalRoute(dgid=GID(remote["gid"]), sgid_index=self.gid_index)
        attributes = QPAttr(port_num=1)
        attributes.qp_access_flags = self.access
        attributes.dest_qp_num = remote["queuePair"]
        attributes.rq_psn = remote["packetSequence"]
        attributes.sq_psn = PSN
        attributes.path_mtu = e.IBV_MTU_1024
        attributes.max_rd_atomic = attributes.max_dest_rd_atomic = 1
        attributes.min_rnr_timer = 12
        attributes.timeout = 14
        attributes.retry_cnt = attributes.rnr_retry = 7
        attributes.ah_attr = AHAttr(gr=route, is_global=1, port_num=1)
        self.queue_pair.to_rts(attributes)

    def post(self, opcode, byte_length, fill):
        request = SendWR(opcode=opcode, num_sge=1, sg=[SGE(self.region.buf, byte_length, self.region.lkey)])
        fill(request)
        self.queue_pair.post_send(request)
        while True:
            count, completions = self.completions.poll(1)
            if count:
                return completions[0].status

    def number(self):
        return str(int.from_bytes(self.region.read(8, 0), "little"))


def main():
    device, gid_index = sys.argv[1], int(sys.argv[2])
    peer = Peer(device, gid_index)
    gid = peer.context.query_gid(1, gid_index).gid
    tell(
        gid=gid,
        queuePair=peer.queue_pair.qp_num,
        packetSequence=PSN,
        address=str(peer.region.buf),
        rkey=peer.region.rkey,
    )
    remote = hear()
    peer.connect(remote)
    tell(state="ready")
    target, rkey = int(remote["address"]), remote["rkey"]
    for command in iter(hear, None):
        step = command["step"]
        if step == "memory":
            tell(memory=peer.region.read(command["byteLength"], 0).hex())
        elif step == "write":
            peer.region.write(bytes.fromhex(command["data"]), len(command["data"]) // 2)
            length = len(command["data"]) // 2
            tell(status=peer.post(e.IBV_WR_RDMA_WRITE, length, lambda request: request.set_wr_rdma(rkey, target)))
        elif step == "read":
            length = command["byteLength"]
            status = peer.post(e.IBV_WR_RDMA_READ, length, lambda request: request.set_wr_rdma(rkey, target))
            tell(status=status, memory=peer.region.read(length, 0).hex())
        elif step == "compareSwap":
            compare, swap = int(command["compare"]), int(command["swap"])
            status = peer.post(
                e.IBV_WR_ATOMIC_CMP_AND_SWP, 8, lambda request: request.set_wr_atomic(rkey, target, compare, swap)
            )
            tell(status=status, old=peer.number())
        elif step == "fetchAdd":
            add = int(command["add"])
            status = peer.post(
                e.IBV_WR_ATOMIC_FETCH_AND_ADD, 8, lambda request: request.set_wr_atomic(rkey, target, add, 0)
            )
            tell(status=status, old=peer.number())


main()

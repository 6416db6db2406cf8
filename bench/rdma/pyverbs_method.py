"""The pyverbs engine's way to move one room, for comparison: both sides, two processes, on one device.

A context, protection domain, completion queues and queue pair for each room and side; all layer buffers registered for
each room at decode, and each run of each layer at prefill; one signalled write for each run and layer; one completion a
poll; a registry that is polled with pickled dictionaries over a fresh DEALER each time. Times are printed as JSON, one line a
case, each step by its median. usage: pyverbs_method.py DEVICE GID_INDEX LAYERS PAGE_BYTES PAGES ROOMS AT_ONCE
"""

import ctypes
import json
import mmap
import multiprocessing
import pickle
import statistics
import sys
import threading
import time
import uuid

import zmq
from pyverbs.addr import GID, AHAttr, GlobalRoute
from pyverbs.cq import CQ
from pyverbs.device import Context
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
from pyverbs.wr import SGE, RecvWR, SendWR
import pyverbs.enums as e

ACCESS = e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE | e.IBV_ACCESS_REMOTE_READ
AUX_BYTES = 512
WARM_UP = 2


def serve_registry(socket):
    rooms = {}
    while True:
        identity, _, message = socket.recv_multipart()
        request = pickle.loads(message)
        room = rooms.setdefault(request["room_id"], {"prefill": {}, "decode": {}})
        if request["type"] == "register":
            room[request["pd_role"]][request["tp_rank"]] = request
            answer = {"status": "ok"}
        else:
            answer = {"status": "ok", "clients": room}
        socket.send_multipart([identity, b"", pickle.dumps(answer)])


def ask(port, request):
    context = zmq.Context()
    socket = context.socket(zmq.DEALER)
    socket.setsockopt_string(zmq.IDENTITY, str(uuid.uuid4()))
    socket.connect(f"tcp://127.0.0.1:{port}")
    socket.send_multipart([b"", pickle.dumps(request)])
    answer = pickle.loads(socket.recv_multipart()[1])
    socket.close()
    context.term()
    return answer


class Memory:
    """Layer buffers and an aux slot, page aligned."""

    def __init__(self, buffers, buffer_bytes):
        self.bytes = buffer_bytes
        self.maps = [mmap.mmap(-1, buffer_bytes) for _ in range(buffers)]
        self.aux = mmap.mmap(-1, 4096)
        self.addresses = [ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in self.maps]
        self.aux_address = ctypes.addressof(ctypes.c_char.from_buffer(self.aux))


class Side:
    def __init__(self, device, gid_index, sends):
        self.gid_index = gid_index
        self.context = Context(name=device)
        self.pd = PD(self.context)
        self.receives = CQ(self.context, 1000)
        self.sends = CQ(self.context, 1600)
        cap = QPCap(max_send_wr=sends, max_recv_wr=10, max_send_sge=30, max_recv_sge=30)
        self.qp = QP(self.pd, QPInitAttr(qp_type=e.IBV_QPT_RC, scq=self.sends, rcq=self.receives, cap=cap))
        self.gid = str(self.context.query_gid(1, gid_index))

    def to_rts(self, peer):
        attributes = QPAttr(port_num=1)
        attributes.qp_access_flags = ACCESS
        self.qp.to_init(attributes)
        route = GlobalRoute(dgid=GID(peer["gid"]), sgid_index=self.gid_index, hop_limit=1)
        attributes = QPAttr(qp_state=e.IBV_QPS_RTR, path_mtu=self.context.query_port(1).active_mtu)
        attributes.dest_qp_num = peer["qp_num"]
        attributes.rq_psn = 0
        attributes.max_dest_rd_atomic = 1
        attributes.min_rnr_timer = 1
        attributes.ah_attr = AHAttr(port_num=1, is_global=1, gr=route)
        self.qp.to_rtr(attributes)
        attributes = QPAttr(qp_state=e.IBV_QPS_RTS)
        attributes.timeout = 14
        attributes.retry_cnt = 7
        attributes.rnr_retry = 7
        attributes.sq_psn = 0
        attributes.max_rd_atomic = 1
        self.qp.to_rts(attributes)

    def close(self):
        self.context.close()


class Clock:
    def __init__(self):
        self.steps = {}
        self.last = time.perf_counter()

    def step(self, name):
        now = time.perf_counter()
        self.steps[name] = self.steps.get(name, 0) + (now - self.last) * 1e6
        self.last = now


def query(port, room, role):
    while True:
        client = ask(port, {"type": "query_room", "room_id": room})["clients"][role].get(0)
        if client and client["gid"]:
            return client
        yield


def base(kind, role, room, side):
    return {"type": kind, "pd_role": role, "room_id": room, "tp_rank": 0, "qp_num": side.qp.qp_num, "lid": 0, "gid": side.gid}


def prefill(port, room, device, gid_index, memory, page_bytes, pages):
    """Sends `pages` consecutive pages of every buffer: one run."""
    clock = Clock()
    side = Side(device, gid_index, 1500)
    clock.step("open device, queue pair")
    ask(port, base("register", "prefill", room, side))
    peer = yield from query(port, room, "decode")
    clock.step("registry")
    aux = MR(side.pd, AUX_BYTES, ACCESS, address=memory.aux_address)
    side.to_rts(peer)
    clock.step("aux registration, connect")
    length = pages * page_bytes
    regions = [MR(side.pd, length, ACCESS, address=address) for address in memory.addresses]
    clock.step("register runs")
    for index, (region, target) in enumerate(zip(regions, peer["groups_mrs_info"][0])):
        entry = SGE(memory.addresses[index], length, region.lkey)
        request = SendWR(wr_id=index, sg=[entry], num_sge=1, opcode=e.IBV_WR_RDMA_WRITE, send_flags=e.IBV_SEND_SIGNALED)
        request.set_wr_rdma(target["rkey"], target["address"])
        side.qp.post_send(request)
    done = 0
    while done < len(regions):
        yield
        done += check(side.sends)
    entry = SGE(memory.aux_address, AUX_BYTES, aux.lkey)
    request = SendWR(wr_id=9999, sg=[entry], num_sge=1, opcode=e.IBV_WR_RDMA_WRITE_WITH_IMM, send_flags=e.IBV_SEND_FENCE)
    request.set_wr_rdma(peer["meta_buff"]["rkey"], peer["meta_buff"]["address"])
    side.qp.post_send(request)
    while done < len(regions) + 1:
        yield
        done += check(side.sends)
    clock.step("write")
    side.close()
    return clock.steps


def check(queue):
    count, completions = queue.poll()
    for completion in completions:
        if completion.status != e.IBV_WC_SUCCESS:
            raise RuntimeError(f"completion with status {completion.status}")
    return count


def decode(port, room, device, gid_index, memory):
    clock = Clock()
    side = Side(device, gid_index, 10)
    clock.step("open device, queue pair")
    peer = yield from query(port, room, "prefill")
    side.to_rts(peer)
    clock.step("registry, connect")
    aux = MR(side.pd, AUX_BYTES, ACCESS, address=memory.aux_address)
    regions = [MR(side.pd, memory.bytes, ACCESS, address=address) for address in memory.addresses]
    clock.step("register all buffers")
    request = base("register", "decode", room, side)
    request["meta_buff"] = {"address": memory.aux_address, "length": AUX_BYTES, "rkey": aux.rkey}
    request["groups_mrs_info"] = [[{"address": a, "length": memory.bytes, "rkey": r.rkey} for a, r in zip(memory.addresses, regions)]]
    side.qp.post_recv(RecvWR(wr_id=1, sg=[SGE(memory.aux_address, AUX_BYTES, aux.lkey)], num_sge=1))
    ask(port, request)
    clock.step("tell pages")
    while check(side.receives) == 0:
        yield
    clock.step("wait for data")
    side.close()
    return clock.steps


def run_rooms(rooms, at_once, one):
    """One thread, as a scheduler: each room that is open is polled in its turn."""
    waiting, open_rooms, results = list(reversed(rooms)), [], []
    while waiting or open_rooms:
        while waiting and len(open_rooms) < at_once:
            open_rooms.append((time.perf_counter(), one(waiting.pop())))
        for entry in list(open_rooms):
            begun, steps = entry
            try:
                next(steps)
            except StopIteration as end:
                open_rooms.remove(entry)
                results.append(((time.perf_counter() - begun) * 1e6, end.value))
    return results


def summary(results):
    names = results[0][1].keys()
    return {
        "roomMicroseconds": statistics.median(each for each, _ in results),
        "steps": {name: statistics.median(steps[name] for _, steps in results) for name in names},
    }


def main():
    device, gid_index, layers, page_bytes, pages, count, at_once = sys.argv[1], *map(int, sys.argv[2:])
    buffers, buffer_bytes = 2 * layers, max(256, pages) * page_bytes
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=decode_process, args=(there, device, gid_index, buffers, buffer_bytes, count, at_once), daemon=True
    )
    child.start()
    socket = zmq.Context().socket(zmq.ROUTER)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    threading.Thread(target=serve_registry, args=(socket,), daemon=True).start()
    memory = Memory(buffers, buffer_bytes)

    def one(room):
        return prefill(port, room, device, gid_index, memory, page_bytes, pages)

    assert here.recv() == "ready"
    here.send(port)
    run_rooms(range(WARM_UP), 1, one)
    assert here.recv() == "warm"
    here.send("go")
    begun = time.perf_counter()
    results = run_rooms(range(WARM_UP, WARM_UP + count), at_once, one)
    theirs = here.recv()
    seconds = time.perf_counter() - begun
    answer = {
        "roomsPerSecond": count / seconds,
        "bytesPerSecond": count * buffers * pages * page_bytes / seconds,
        "requests": buffers + 1,
        "prefill": summary(results),
        "decode": theirs,
    }
    print(json.dumps(answer), flush=True)


def decode_process(pipe, device, gid_index, buffers, buffer_bytes, count, at_once):
    memory = Memory(buffers, buffer_bytes)
    pipe.send("ready")
    port = pipe.recv()

    def one(room):
        return decode(port, room, device, gid_index, memory)

    run_rooms(range(WARM_UP), 1, one)
    pipe.send("warm")
    assert pipe.recv() == "go"
    pipe.send(summary(run_rooms(range(WARM_UP, WARM_UP + count), at_once, one)))


if __name__ == "__main__":
    main()

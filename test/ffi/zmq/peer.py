"""A pyzmq peer for the tests. Echoes every message; ends when its standard input ends.

One argument, a JSON object: type ("ROUTER", "DEALER", "PULL"), bind or connect, and optionally routing_id, greeting (strings
sent at the start), curve ({secret} for a server, {server, public, secret} for a client), monitor (true: events are printed).
Prints JSON lines: {"endpoint": ...} once, then {"event": name} for each event of the monitor.
"""

import json
import sys

import zmq
from zmq.utils.monitor import recv_monitor_message


def say(**line):
    print(json.dumps(line), flush=True)


options = json.loads(sys.argv[1])
context = zmq.Context()
socket = context.socket(getattr(zmq, options["type"]))
socket.linger = 0
if "routing_id" in options:
    socket.routing_id = options["routing_id"].encode()
if "curve" in options:
    keys = options["curve"]
    socket.curve_secretkey = keys["secret"].encode()
    if "server" in keys:
        socket.curve_publickey = keys["public"].encode()
        socket.curve_serverkey = keys["server"].encode()
    else:
        socket.curve_server = True

poller = zmq.Poller()
poller.register(socket, zmq.POLLIN)
poller.register(sys.stdin.fileno(), zmq.POLLIN)
monitor = socket.get_monitor_socket() if options.get("monitor") else None
if monitor is not None:
    poller.register(monitor, zmq.POLLIN)

if "bind" in options:
    socket.bind(options["bind"])
else:
    socket.connect(options["connect"])
say(endpoint=socket.last_endpoint.decode())
if "greeting" in options:
    socket.send_multipart([text.encode() for text in options["greeting"]])

while True:
    ready = dict(poller.poll())
    if sys.stdin.fileno() in ready:
        break
    if monitor in ready:
        say(event=zmq.Event(recv_monitor_message(monitor)["event"]).name)
    if socket in ready:
        socket.send_multipart(socket.recv_multipart())

"""Plays a Lokinet endpoint towards the auth server: reads commands as JSON lines, prints what comes back.

Usage: lokinet-peer.py ADDRESS [SERVER_PUBLIC_KEY_HEX]
  {"send": [hex, ...]}     sends the frames
  {"receive": count, "ms"} prints {"frames": [[hex, ...], ...]}
  {"reconnect": true}      connects again with the same routing id; the old connection stays
  {"forget": true}         closes the old connections
"""
import json
import sys
import zmq

context = zmq.Context()
KEY = bytes(range(32))
ROUTE = b"L" + KEY


def connect():
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.IDENTITY, ROUTE)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.setsockopt(zmq.RECONNECT_IVL, 50)
    dealer.setsockopt(zmq.HANDSHAKE_IVL, 10000)
    dealer.setsockopt(zmq.HEARTBEAT_IVL, 15000)
    dealer.setsockopt(zmq.HEARTBEAT_TIMEOUT, 30000)
    if len(sys.argv) > 2:
        public, secret = zmq.curve_keypair()
        dealer.curve_publickey = public
        dealer.curve_secretkey = secret
        dealer.curve_serverkey = zmq.utils.z85.encode(bytes.fromhex(sys.argv[2]))
    dealer.connect(sys.argv[1])
    return dealer


import zmq.utils.z85  # noqa: E402

socket = connect()
old = []
print(json.dumps({"ready": zmq.zmq_version()}), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if "send" in command:
        try:
            socket.send_multipart([bytes.fromhex(frame) for frame in command["send"]], zmq.NOBLOCK)
        except zmq.Again:
            # After a failed handshake libzmq gives the connection up, and a send would wait for ever.
            pass
    elif "receive" in command:
        frames = []
        while len(frames) < command["receive"] and socket.poll(command["ms"]):
            frames.append([frame.hex() for frame in socket.recv_multipart()])
        print(json.dumps({"frames": frames}), flush=True)
    elif "reconnect" in command:
        # The old connection stays open, as one whose machine lost its network does.
        old.append(socket)
        socket = connect()
        print(json.dumps({"ready": "again"}), flush=True)
    elif "forget" in command:
        # Otherwise it would take the route over after a restart of the server.
        while old:
            old.pop().close()
        print(json.dumps({"ready": "alone"}), flush=True)

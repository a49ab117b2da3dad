"""What a link really gives: one TCP connection between two addresses, without TLS and without agents.

    python probe.py serve                    # says "ready", then answers one peer
    python probe.py measure ADDRESS BYTES    # prints one JSON object: round_trip_s, bits_per_s, congestion

The round trip is the median of 20 of one byte; the rate is that of BYTES with the answer, less a round trip, the best
of three after one that opens the connection's window. `congestion` is the algorithm of this machine's TCP.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
from time import perf_counter
from typing import Any

PORT = 9001
PINGS, BLOCKS = 20, 4


def serve() -> None:
    with socket.create_server(("0.0.0.0", PORT)) as server:
        print("ready", flush=True)
        peer, _ = server.accept()
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with peer:
        while message := peer.recv(1 << 20):
            if message.endswith(b"."):
                peer.sendall(b".")


def measure(address: str, size: int) -> dict[str, Any]:
    def answered(message: bytes) -> float:
        start = perf_counter()
        peer.sendall(message)
        peer.recv(1)
        return perf_counter() - start

    with socket.create_connection((address, PORT)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        congestion = peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
        round_trip = statistics.median(answered(b".") for _ in range(PINGS))
        block = bytes(size - 1) + b"."
        seconds = [answered(block) for _ in range(BLOCKS)]
    rate = size * 8 / (min(seconds[1:]) - round_trip)
    return {"round_trip_s": round_trip, "bits_per_s": rate, "congestion": congestion}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    modes = parser.add_subparsers(dest="mode", required=True)
    modes.add_parser("serve")
    client = modes.add_parser("measure")
    client.add_argument("address")
    client.add_argument("bytes", type=int)
    a = parser.parse_args()
    if a.mode == "serve":
        serve()
    else:
        print(json.dumps(measure(a.address, a.bytes)))


if __name__ == "__main__":
    main()

"""A switch in user space that holds every frame back: for kernels without netem. Started by `netns.py`.

    python switch.py '{"links": ["alice", "bob"], "rate": 1e8, "delay": 0.02}'

It makes a TUN device for each link, says "devices", and forwards from a line of input on until its input ends. A frame
waits for `delay`, and then until its receiver's link is free at `rate`; what would wait longer than `QUEUE` for that is
dropped, as a router does. The devices carry TCP's large segments whole, so that there are few frames to handle.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import select
import struct
import sys
from collections import deque
from time import monotonic

QUEUE = 0.1
"""Seconds of traffic that wait for a receiver's link at most."""
HEADER = 10
"""Bytes of virtio's header before each frame."""
FRAME = HEADER + 65_550
"""Bytes of the largest frame with its header."""
BATCH = 16
"""Frames taken from one link before the others have their turn."""
TUN = "/dev/net/tun"
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02


class Switch:
    """Takes frames from all links and gives each to its receiver when it is due.

    Args:
        links: files of the TUN devices, in the order of the last byte of their addresses, from 1.
        rate: bits a second into each receiver.
        delay: seconds one way.
    """

    def __init__(self, links: list[int], rate: float, delay: float) -> None:
        self.links, self.seconds_a_byte, self.delay = links, 8 / rate, delay
        self.free = [0.0] * len(links)  # when each receiver's link is
        self.waiting: list[deque[tuple[float, bytes]]] = [deque() for _ in links]

    def serve(self, until: int) -> None:
        """Forward until the file `until` has something to read, or ends."""
        while True:
            due = self.deliver()
            timeout = None if due is None else max(0.0, due - monotonic())
            ready, _, _ = select.select([until, *self.links], [], [], timeout)
            if until in ready:
                return
            for link in ready:
                self.take(link)

    def take(self, link: int) -> None:
        """Queue the frames that a link has; only IPv4 has a way."""
        for _ in range(BATCH):
            try:
                frame = os.read(link, FRAME)
            except BlockingIOError:
                return
            receiver = frame[HEADER + 19] - 1  # the last byte of an IPv4 destination
            if frame[HEADER] >> 4 == 4 and 0 <= receiver < len(self.links):
                self.queue(receiver, frame, monotonic() + self.delay)

    def queue(self, receiver: int, frame: bytes, arrives: float) -> None:
        start = max(arrives, self.free[receiver])
        if start - arrives > QUEUE:
            return
        self.free[receiver] = start + (len(frame) - HEADER) * self.seconds_a_byte
        self.waiting[receiver].append((self.free[receiver], frame))

    def deliver(self) -> float | None:
        """Hand out what is due; when the next frame will be."""
        now = monotonic()
        for link, waiting in zip(self.links, self.waiting, strict=True):
            while waiting and waiting[0][0] <= now:
                os.write(link, waiting.popleft()[1])
        return min((waiting[0][0] for waiting in self.waiting if waiting), default=None)


def open_tun(name: str) -> int:
    """A new TUN device in this namespace, as a file that does not block."""
    file = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(file, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    return file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=json.loads)
    plan = parser.parse_args().plan
    links = [open_tun(name) for name in plan["links"]]
    print("devices", flush=True)
    sys.stdin.readline()
    with contextlib.suppress(OSError):  # without real-time priority its wake-ups are less exact
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    Switch(links, plan["rate"], plan["delay"]).serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()

"""A link without sockets: agents and drivers of one test in one process, and a record of all they receive."""

from __future__ import annotations

import queue
import threading
from collections import defaultdict


class Network:
    """Links by name. `received[name]` is everything that arrived there: (peer, session, bytes)."""

    def __init__(self) -> None:
        self.links: dict[str, LoopbackLink] = {}
        self.received: dict[str, list[tuple[str, bytes, bytes]]] = defaultdict(list)

    def link(self, name: str) -> LoopbackLink:
        self.links[name] = LoopbackLink(self, name)
        return self.links[name]

    def lose(self, name: str) -> None:
        """The link of that name is gone, as after kill -9: everybody else is told."""
        self.links.pop(name).closed = True
        for link in self.links.values():
            link.lost(name)


class LoopbackInbox:
    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[tuple[str, bytes | None] | None] = queue.SimpleQueue()

    def take(self, timeout: float | None) -> list[tuple[str, bytes | None]]:
        try:
            first = self.queue.get(timeout=timeout)
        except queue.Empty:
            return []
        taken = [first]
        while True:
            try:
                taken.append(self.queue.get_nowait())
            except queue.Empty:
                return [item for item in taken if item is not None]

    def wake(self) -> None:
        self.queue.put(None)

    def close(self) -> None:
        pass


class LoopbackLink:
    def __init__(self, network: Network, name: str) -> None:
        self.network, self.name, self.address = network, name, f"loopback:{name}"
        self.closed = False
        self.gone: set[str] = set()
        self.inboxes: dict[bytes, LoopbackInbox] = {}
        self.lock = threading.Lock()
        self.tamper = lambda peer, session, data: data

    def open(self, session: bytes, peers: set[str] | None = None) -> LoopbackInbox:
        with self.lock:
            inbox = self.inboxes.setdefault(session, LoopbackInbox())
        for name in self.gone:
            inbox.queue.put((name, None))
        return inbox

    def send(self, peer: str, session: bytes, parts: list) -> None:
        data = self.tamper(peer, session, b"".join(bytes(part) for part in parts))
        other = self.network.links.get(peer)
        if other is None or self.closed:
            raise OSError(f"{peer} is not there")
        other.arrive(self.name, session, data)

    def room(self, peer: str, session: bytes) -> bool:
        return True

    def arrive(self, peer: str, session: bytes, data: bytes) -> None:
        self.network.received[self.name].append((peer, session, data))
        with self.lock:
            inbox = self.inboxes.setdefault(session, LoopbackInbox())
        inbox.queue.put((peer, data))

    def lost(self, name: str) -> None:
        self.gone.add(name)
        with self.lock:
            inboxes = list(self.inboxes.values())
        for inbox in inboxes:
            inbox.queue.put((name, None))

    def watch(self, timeout: float) -> list:
        threading.Event().wait(min(timeout, 0.2))
        return []

    def close(self) -> None:
        self.closed = True

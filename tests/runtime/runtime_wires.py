"""A link between threads of one process, for tests of sessions without sockets."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence


class Wires:
    """What `argot._core.link` offers to a session, for several named parties in one process.

    `send` blocks while `window` bytes of a session wait to be taken. `tamper(sender, receiver, data)` may return
    other bytes, or None to lose them. `lose(name)` makes a party gone.
    """

    def __init__(self, tamper: Callable[[str, str, bytes], bytes | None] | None = None, window: int = 1 << 40):
        self.tamper, self.window = tamper, window
        self.inboxes: dict[tuple[str, bytes], Inbox] = {}
        self.early: dict[tuple[str, bytes], list[tuple[str, bytes | None]]] = defaultdict(list)
        self.gone: set[str] = set()
        self.lock = threading.Lock()
        self.log: list[tuple[str, str, bytes]] = []

    def link(self, name: str) -> Link:
        return Link(self, name)

    def lose(self, name: str) -> None:
        with self.lock:
            self.gone.add(name)
            for (owner, _), inbox in self.inboxes.items():
                if owner != name:
                    inbox.put((name, None))


class Link:
    def __init__(self, wires: Wires, name: str):
        self.wires, self.name = wires, name

    def open(self, session: bytes, peers: set[str] | None = None) -> Inbox:
        with self.wires.lock:
            inbox = self.wires.inboxes[self.name, session] = Inbox()
            for item in self.wires.early.pop((self.name, session), []):
                inbox.put(item)
            return inbox

    def room(self, peer: str, session: bytes) -> bool:
        inbox = self.wires.inboxes.get((peer, session))
        return inbox is None or inbox.untaken(self.name) < self.wires.window

    def send(self, peer: str, session: bytes, parts: list[object]) -> None:
        data: bytes | None = b"".join(bytes(part) for part in parts)  # type: ignore[call-overload]
        wires = self.wires
        if self.name in wires.gone:
            return
        if peer in wires.gone:
            raise ConnectionError(f"{peer} is lost")
        if wires.tamper is not None:
            data = wires.tamper(self.name, peer, data)
        if data is None:
            return
        until = time.monotonic() + 20
        while not self.room(peer, session):
            assert time.monotonic() < until, "blocked"
            time.sleep(0.001)
        with wires.lock:
            wires.log.append((self.name, peer, data))
            inbox = wires.inboxes.get((peer, session))
            if inbox is None:
                wires.early[peer, session].append((self.name, data))
            else:
                inbox.put((self.name, data))


class Inbox:
    def __init__(self) -> None:
        self.items: deque[tuple[str, bytes | None]] = deque()
        self.condition = threading.Condition()
        self.woken = False

    def put(self, item: tuple[str, bytes | None]) -> None:
        with self.condition:
            self.items.append(item)
            self.condition.notify()

    def untaken(self, sender: str) -> int:
        with self.condition:
            return sum(len(data) for name, data in self.items if data is not None and name == sender)

    def wake(self) -> None:
        with self.condition:
            self.woken = True
            self.condition.notify()

    def take(self, timeout: float | None, held: Sequence[str] = ()) -> list[tuple[str, bytes | None]]:
        until = None if timeout is None else time.monotonic() + timeout
        with self.condition:
            held = [name for name in held if (name, None) not in self.items]  # a lost one is not held
            while not self.woken and all(name in held for name, _ in self.items):
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return []
                self.condition.wait(left)
            self.woken = False
            items = [item for item in self.items if item[0] not in held]
            self.items = deque(item for item in self.items if item[0] in held)
            return items

    def take_one(self, peer: str) -> list[tuple[str, bytes | None]]:
        with self.condition:
            place = next((i for i, (name, _) in enumerate(self.items) if name == peer), None)
            if place is None:
                return []
            item = self.items[place]
            del self.items[place]
            return [item]

    def close(self) -> None:
        self.put = lambda item: None  # type: ignore[method-assign]

"""What two members of a device keep with each other from one run to the next, and the channel on which they make it.

Correlations between two parties are made in bulk, ahead of the operations that use them, by messages of their own which
belong to no run. Whoever needs something of that kind asks its party for it (`Party.kept`): there is one object for
each peer and kind, made when it is first asked for, and gone with the device.

Messages of a channel are handled one at a time, in order, in a thread of the channel; what waits for their effects
waits for a `Future` (`Party.settled`). They do not count as rounds or payload of a run: what was sent on channels since
the run before is a figure of its own (`Meter.ahead_bytes`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar
from urllib.parse import quote

from .._core import prf
from ..errors import ArgotError, PartyError, PartyLost

K = TypeVar("K", bound="Keepsake")

_QUEUED = 4  # messages without room above which no more are made
_STUCK_SECONDS = 0.01  # after which a channel looks for room again


class Channel(Protocol):
    """To one peer, for one kind of object."""

    key: bytes
    """32 bytes that these two members alone know, the same at both, new with every device."""

    rank: int
    peer: int

    ahead: bool
    """Whether messages are handled beside the runs, so that work for later may be done now."""

    directory: Path | None
    """Where on its disk this member may keep things for later devices with the peer; None if nowhere."""

    def send(self, message: bytes) -> None:
        """From any thread; does not wait."""


class Keepsake(ABC):
    """One side of what two members keep. Made with its channel, on which it sends nothing before it is asked for."""

    @abstractmethod
    def __init__(self, channel: Channel) -> None: ...

    @abstractmethod
    def handle(self, message: bytes) -> None:
        """A message of the peer. What it raises ends everything that waits, by `fail`."""

    def work(self) -> bool:
        """Do one piece of what messages have asked for; whether there was any. Between two of them what was sent
        leaves, and what came is handled."""
        return False

    @abstractmethod
    def fail(self, error: ArgotError) -> None:
        """Nothing more will come."""


class Kept(ABC):
    """The objects of one member, by peer and kind."""

    def __init__(self) -> None:
        self._objects: dict[tuple[int, type[Keepsake]], Keepsake] = {}
        self._making = threading.Lock()

    def get(self, peer: int, kind: type[K]) -> K:
        """The one of this kind with `peer`."""
        with self._making:
            found = self._objects.get((peer, kind))
            if found is None:
                found = self._objects[peer, kind] = self._make(peer, kind)
        assert isinstance(found, kind)
        return found

    @abstractmethod
    def _make(self, peer: int, kind: type[Keepsake]) -> Keepsake: ...


def channel_key(pair_key: bytes, kind: type[Keepsake]) -> bytes:
    """The key of a channel, from the key that the two members share."""
    key: bytes = prf.derive_key("argot 2026-11 key of a channel between two members", pair_key + kind.__name__.encode())
    return key


class LinkKept(Kept):
    """Over the link of an agent, for one device."""

    def __init__(
        self, link: Any, members: Sequence[str], rank: int, session_id: bytes, keys: Any, directory: Path | None = None
    ) -> None:
        super().__init__()
        self.link, self.members, self.rank, self.directory = link, members, rank, directory
        self.session_id, self.keys = session_id, keys
        self._channels: list[_LinkChannel] = []
        self._told = 0

    def _make(self, peer: int, kind: type[Keepsake]) -> Keepsake:
        key = channel_key(self.keys[frozenset({self.rank, peer})], kind)
        channel = _LinkChannel(self, peer, key)
        self._channels.append(channel)
        made = kind(channel)
        channel.begin(made)
        return made

    def sent(self) -> int:
        """Bytes sent on all channels since this was last asked."""
        with self._making:
            total = sum(channel.sent for channel in self._channels)
            new, self._told = total - self._told, total
        return new

    def close(self) -> None:
        """End all channels."""
        for channel in self._channels:
            channel.close()


class _LinkChannel:
    """A thread that sends what is to be sent and handles what comes, in order."""

    ahead = True

    def __init__(self, kept: LinkKept, peer: int, key: bytes) -> None:
        self.key, self.rank, self.peer = key, kept.rank, peer
        self._link, self._name = kept.link, kept.members[peer]
        self.directory = kept.directory and kept.directory / ("with-" + quote(self._name, safe=""))
        material = kept.session_id + key  # both sides know the key; others cannot tell which channel it is
        self._address: bytes = prf.derive_key("argot 2026-11 link session of a channel", material)[:16]
        self._inbox = self._link.open(self._address, {self._name})
        self._outgoing: deque[bytes] = deque()
        self.sent = 0
        self._closed = False
        self._made: Keepsake | None = None

    def begin(self, made: Keepsake) -> None:
        """Start handling messages."""
        self._made = made
        threading.Thread(target=self._run, name=f"channel to {self._name}", daemon=True).start()

    def send(self, message: bytes) -> None:
        self._outgoing.append(message)
        self._inbox.wake()

    def close(self) -> None:
        self._closed = True
        self._inbox.wake()

    def _run(self) -> None:
        assert self._made is not None
        try:
            while not self._closed:
                # What there is no room for waits here, and what comes is taken meanwhile: else two threads that both
                # send much could wait for each other.
                while self._outgoing and self._link.room(self._name, self._address):
                    outgoing = self._outgoing.popleft()
                    self.sent += len(outgoing)  # before anybody can have it, and end a run for that
                    self._link.send(self._name, self._address, [outgoing])
                working = len(self._outgoing) < _QUEUED and self._made.work()
                for _, message in self._inbox.take(0.0 if working else _STUCK_SECONDS if self._outgoing else None):
                    if message is None:
                        raise PartyLost(f"{self._name} is gone", party=self._name)
                    self._made.handle(bytes(message))
        except ArgotError as error:
            self._made.fail(error)
        except OSError as error:
            self._made.fail(PartyLost(f"{self._name} is gone: {error}", party=self._name))
        except BaseException as error:
            self._made.fail(PartyError(f"work for {self._name} failed: {error}", party=self._name))
            raise
        else:
            self._made.fail(PartyError("the device was closed"))
        finally:
            self._inbox.close()

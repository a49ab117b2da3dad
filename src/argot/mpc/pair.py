"""What two parties without a dealer keep with each other: correlations from oblivious transfer, and keys of lattice
encryption. `stock.py` is the same for products of random bits.

For each direction there is a long row of correlations (`crates/ot`): the sender of a direction has `delta` and blocks,
the receiver bits and blocks. The *receiver allots* ranges of its direction to operations, and tells the sender where
the range starts with the first message of the operation: so the parties need not run their tasks in the same order. The
receiver also asks for more, by the number of extensions that there should be; each is one message of the sender.

All messages here go over a channel of their own (`runtime/kept.py`): the set-up, extensions and public keys belong to
no operation, and are made once for all runs of a device. A range is never given out twice; one whose operation failed
is lost.
"""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic, TypeVar

from .._core import ot, rlwe
from ..errors import ArgotError, FrameError
from ..runtime.kept import Channel, Keepsake
from ..runtime.party import Party
from .protocol import Array
from .transfer_costs import factor_widths

START = 8
"""Bytes that say where a range starts."""

_BEGIN, _ANSWER, _FINISH, _MORE, _EXTENSION, _KEY = range(6)
"""The first byte of a message."""

MOST_AHEAD = 1 << 8
"""Extensions that a peer may ask for beyond those that there are: half a billion correlations, 8 GB of them."""

_KINDS: dict[str, Callable[..., Any]] = {
    "products": rlwe.Products,
    "matrices": rlwe.Matrices,
    "merging": partial(rlwe.Matrices, merging=True),
    "convolutions": rlwe.Convolutions,
}

KNOWN = {
    *(("products", str(k), str(k), str(k)) for k in (32, 64)),
    *(("products", *map(str, widths)) for widths in (factor_widths(*of) for of in ((4, 6), (5, 6), (7, 2), (7, 6)))),
    *((kind, str(k), str(k)) for kind in ("matrices", "merging", "convolutions") for k in (32, 64)),
}
"""Kinds and widths that operations use: a peer's key of any other is refused."""


End = TypeVar("End", ot.Sender, ot.Receiver)
T = TypeVar("T")


@contextmanager
def messages_of(peer: int) -> Iterator[None]:
    """FrameError, which names the peer, for a message of its that is no correction, ciphertext or key."""
    try:
        yield
    except (ot.BadMessage, rlwe.BadCiphertext) as error:
        raise FrameError(f"party {peer} sent what it should not have: {error}") from None


class _Row(Generic[End]):
    """One direction at one of its ends: how many correlations there are, and who waits for more."""

    def __init__(self, end: End) -> None:
        self.end: End = end
        self.waiting: list[tuple[int, Future[None]]] = []

    def reached(self, stop: int) -> Future[None]:
        """Done when the correlations before `stop` are there."""
        found: Future[None] = Future()
        self.waiting.append((stop, found))
        return found

    def settle(self) -> list[Future[None]]:
        """Those that have waited for what is there now."""
        made = self.end.made
        done = [future for stop, future in self.waiting if stop <= made]
        self.waiting = [(stop, future) for stop, future in self.waiting if stop > made]
        return done


class Rows(Keepsake):
    """One party's side of a row in each direction: the set-up of both, and more of them when they are needed."""

    def __init__(self, channel: Channel, size: ot.Size, products: bool) -> None:
        self.channel = channel
        self._lock = threading.Lock()
        self._into = _Row(ot.Receiver(channel.key, channel.peer, size, products=products))
        self._out = _Row(ot.Sender(channel.key, channel.rank, size, products=products))
        self._allotted = 0  # correlations of `into` that operations have
        self._asked = 0  # extensions of `into`
        self._begun = self._ready = False  # of `out`
        self._wanted = 0  # extensions of `out` that the peer asked for
        self._extended = 0
        self._error: ArgotError | None = None

    @abstractmethod
    def _ahead(self) -> int:
        """How many more than are allotted there should be, so that the next operations need not wait."""

    # ---- for operations ---------------------------------------------------------------------------------------------

    def allot(self, n: int) -> int:
        """Where a range of n begins in which this party receives. More are asked for if need be."""
        with self._lock:
            start, self._allotted = self._allotted, self._allotted + n
            wanted = -(-(self._allotted + (self._ahead() if self.channel.ahead else 0)) // self._into.end.gain)
            asks, self._asked = wanted > self._asked, max(wanted, self._asked)
        if asks:
            self.channel.send(bytes([_MORE]) + wanted.to_bytes(4, "little"))
        return start

    def tell(self, party: Party, start: int, choices: bytes = b"") -> None:
        """Where a range begins in which this party receives, and what it has chosen of it."""
        party.send(self.channel.peer, start.to_bytes(START, "little") + choices, head=START)

    async def heard(self, party: Party, length: int = 0) -> tuple[int, bytes]:
        """Where a range begins in which the peer receives, and its choices, of so many bytes."""
        message: bytes = await party.recv(self.channel.peer, START + length)
        return int.from_bytes(message[:START], "little"), message[START:]

    async def _received(self, party: Party, stop: int) -> ot.Receiver:
        """The end that receives, once it has what is before `stop`."""
        await self._reached(party, self._into, stop)
        return self._into.end

    async def _sent(self, party: Party, start: int, stop: int, take: Callable[[ot.Sender], T]) -> T:
        """What `take` takes of the end that sends, once it has what is before `stop`; the peer said where it starts.

        Raises:
            FrameError: the peer named a range that it has used before.
        """
        most = (self._wanted + MOST_AHEAD) * self._out.end.gain
        if stop > most:
            raise FrameError(f"party {self.channel.peer} names correlation {start}", wanted=f"one below {most}")
        await self._reached(party, self._out, stop)
        try:
            return take(self._out.end)
        except ot.Reused as error:
            raise FrameError(
                f"party {self.channel.peer} names correlations again: {error}", wanted="fresh ones"
            ) from None

    async def _reached(self, party: Party, row: _Row[Any], stop: int) -> None:
        with self._lock:
            self._check()
            future = None if row.end.made >= stop else row.reached(stop)
        if future is not None:
            await party.settled(future)

    def _check(self) -> None:
        """Raise what has ended the channel."""
        if self._error is not None:
            raise self._error.with_traceback(None)

    # ---- the channel ------------------------------------------------------------------------------------------------

    def handle(self, message: bytes) -> None:
        with messages_of(self.channel.peer):
            try:
                self._handle(message[:1], message[1:])
            except ot.OutOfTurn as error:
                raise FrameError(f"party {self.channel.peer} is out of step: {error}") from None

    def _handle(self, kind: bytes, body: bytes) -> None:
        match int.from_bytes(kind, "little"):
            case _ if len(kind) != 1:
                raise FrameError(f"an empty message of party {self.channel.peer} on the channel of correlations")
            case 0:  # _BEGIN
                self._tell(_ANSWER, self._into.end.answer(body))
            case 1:  # _ANSWER
                self._tell(_FINISH, self._out.end.finish(body))
                self._ready = True
            case 2:  # _FINISH
                self._into.end.finish(body)
            case 3:  # _MORE
                wanted = int.from_bytes(body, "little")
                if len(body) != 4 or wanted > self._extended + MOST_AHEAD:
                    raise FrameError(
                        f"party {self.channel.peer} asks for {wanted} extensions of correlations",
                        wanted=f"at most {MOST_AHEAD} more than the {self._extended} that there are",
                    )
                self._wanted = max(self._wanted, wanted)
                if not self._begun:
                    self._begun = True
                    self._begin()
            case 4:  # _EXTENSION
                self._expect()
                self._into.end.extend(body)
                self._settle(self._into)
            case other:
                self._handle_other(other, body)

    def _begin(self) -> None:
        """The peer has asked for the first time."""
        self._tell(_BEGIN, self._out.end.begin())

    def _handle_other(self, kind: int, body: bytes) -> None:
        raise FrameError(f"message {kind} of party {self.channel.peer} on the channel of correlations")

    def work(self) -> bool:
        """One extension that the peer has asked for."""
        if not self._ready or self._extended >= self._wanted:
            return False
        self._extended += 1
        self._tell(_EXTENSION, self._out.end.extend())
        self._settle(self._out)
        return True

    def _expect(self) -> None:
        """FrameError if no more extensions of `into` were asked for."""
        if self._into.end.made >= self._asked * self._into.end.gain:
            raise FrameError(f"party {self.channel.peer} sent an extension that nobody asked for")

    def _tell(self, kind: int, body: bytes) -> None:
        self.channel.send(bytes([kind]) + body)

    def _settle(self, row: _Row[Any]) -> None:
        with self._lock:
            done = row.settle()
        for future in done:
            future.set_result(None)

    def fail(self, error: ArgotError) -> None:
        with self._lock:
            self._error = error
            waiting = self._unmet()
            self._into.waiting, self._out.waiting = [], []
        for future in waiting:
            if not future.done():
                future.set_exception(error)

    def _unmet(self) -> list[Future[None]]:
        """All that somebody waits for."""
        return [future for row in (self._into, self._out) for _, future in row.waiting]


class Pair(Rows):
    """Correlations, and keys of lattice encryption."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, "medium", products=False)
        self._lattices: dict[tuple[Any, ...], Lattice] = {}

    def _ahead(self) -> int:
        return int(self._into.end.gain) // 2

    async def receiver(self, party: Party, start: int, n: int) -> ot.ReceiverCots:
        """The correlations of a range in which this party receives."""
        return (await self._received(party, start + n)).take(start, n)

    async def sender(self, party: Party, start: int, n: int) -> ot.SenderCots:
        """The correlations of a range in which this party sends; the peer said where it starts.

        Raises:
            FrameError: the peer named a range that it has used before.
        """
        return await self._sent(party, start, start + n, lambda end: end.take(start, n))

    async def chosen(self, party: Party, planes: Array, size: int) -> ot.ReceiverCots:
        """Correlations of which this party's bits are these planes of `size` elements; the peer is told."""
        count = len(planes) * size
        start = self.allot(count)
        cots = await self.receiver(party, start, count)
        self.tell(party, start, cots.choose(planes, size))
        return cots

    async def followed(self, party: Party, count: int) -> ot.SenderCots:
        """The other side of so many that the peer has chosen.

        Raises:
            FrameError: the peer named a range that it has used before.
        """
        start, choices = await self.heard(party, -(-count // 8))
        cots = await self.sender(party, start, count)
        with messages_of(self.channel.peer):
            cots.follow(choices)
        return cots

    async def lattice(self, party: Party, kind: str, *widths: Any) -> Any:
        """The keys of lattice encryption of one kind, this party's and the peer's: `rlwe.Products`, `rlwe.Matrices` or
        `rlwe.Convolutions` with these arguments."""
        found = self._lattice(kind, widths)
        await party.settled(found.met)
        return found.keys

    def _handle_other(self, kind: int, body: bytes) -> None:
        if kind != _KEY:
            super()._handle_other(kind, body)
        self._meet(body)

    def _unmet(self) -> list[Future[None]]:
        return super()._unmet() + [lattice.met for lattice in self._lattices.values()]

    # ---- keys of lattice encryption -------------------------------------------------------------------------------

    def _lattice(self, kind: str, widths: tuple[Any, ...]) -> Lattice:
        """That of one kind; where it is new, the peer is told the public key, and answers with its own."""
        with self._lock:
            name = (kind, *widths)
            found = self._lattices.get(name)
            new = found is None
            if found is None:
                found = self._lattices[name] = Lattice(kind, widths)
            self._check()
        if new:
            text = ",".join(map(str, (kind, *map(int, widths)))).encode()
            self._tell(_KEY, bytes([len(text)]) + text + found.keys.public_key())
        return found

    def _meet(self, body: bytes) -> None:
        length = body[0] if body else 0
        kind, *widths = body[1 : 1 + length].decode("ascii", "replace").split(",")
        if (kind, *widths) not in KNOWN:
            raise FrameError(
                f"party {self.channel.peer} sent a key of a kind that no operation uses",
                wanted="one of " + ", ".join("-".join(name) for name in sorted(KNOWN)),
            )
        found = self._lattice(kind, tuple(map(int, widths)))
        if found.met.done():
            raise FrameError(f"party {self.channel.peer} sent a second key of one kind")
        found.keys.meet(body[1 + length :])
        found.met.set_result(None)


class Lattice:
    """Keys of one kind, and whether the peer's public key is here."""

    def __init__(self, kind: str, widths: tuple[Any, ...]) -> None:
        self.keys: Any = _KINDS[kind](*widths)
        self.met: Future[None] = Future()

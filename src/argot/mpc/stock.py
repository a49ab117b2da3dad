"""Products of random bits that two parties keep with each other, and make ahead of their use, on disks if they may.

A product is made of a correlated transfer as soon as that is there, of 1,024 bytes 16 (`crates/ot/src/words.rs`). Rows,
ranges and extensions are those of `pair.py`; ranges count words of 64 products.

While there is nothing else to do, the party that sends in a direction makes as many extensions as were used, `MOST`
at most, and both put them on their disks (`crates/ot/src/stock.rs`). Where one is wanted, one of these is taken, else
made. They outlast devices and agents: at the first use each direction's sender says which it has, the receiver which of
them it has, too, and both give up the others. So what a crash left at one party alone is lost, and nothing comes twice.
A party names a range only when it has its own products of it, so the peer hides nothing under products that are still
on the disk of this one. One device of two parties has the stock at a time; others, and those without a place on the
disk, make as many ahead in memory. A disk that is full ends the making ahead, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from .._core import ot
from ..errors import ArgotError, FrameError, PartyError
from ..runtime.kept import Channel
from ..runtime.party import Party
from .pair import Rows
from .protocol import Array

_HAVE, _SHARE, _ALONE, _KEEP, _LOST, _STOCKED = range(16, 22)
"""The first byte of a message, beside those of `pair.py`."""

ID = 16
"""Bytes of an extension's name."""

MOST = 13
"""Extensions made ahead in a direction at most: 130 million products, which signs of two million numbers take of a
direction, in 33 MB."""


SIZE: Literal["small", "large"] = "large"
"""Of extensions: 10 million products each, in 0.39 bits; two million would be faster by a third, and take 1.3."""


class Products(Rows):
    """One party's side."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel, SIZE, products=True)
        self._stock: ot.Stock | None = None
        self._meeting = False
        self._shared: list[bytes] | None = None  # names of what both have, where this party sends; None without a stock
        self._kept = 0  # how many there are where it receives
        self._full = False
        if channel.directory is not None:
            with self._on_disk(), suppress(ot.InUse):
                self._stock = ot.Stock(channel.directory, self._out.end.gain)

    # ---- for operations ---------------------------------------------------------------------------------------------

    async def receiver(self, party: Party, start: int, width: int, words: int) -> tuple[Array, Array]:
        """Planes (a, v), of shape (width, words), of a range in which this party receives."""
        end = await self._received(party, start + width * words)
        return end.products(start, width, words)

    async def sender(self, party: Party, start: int, width: int, words: int) -> tuple[Array, Array]:
        """Planes (b, u) with u ^ v = a & b; the peer said where the range starts.

        Raises:
            FrameError: the peer named a range that it has used before.
        """
        return await self._sent(party, start, start + width * words, lambda end: end.products(start, width, words))

    def _ahead(self) -> int:
        return 0 if self._stock is not None else min(self._allotted, MOST * self._into.end.gain)

    # ---- the channel ------------------------------------------------------------------------------------------------

    def handle(self, message: bytes) -> None:
        with self._on_disk():
            super().handle(message)

    def _begin(self) -> None:
        super()._begin()
        if self._stock is not None:
            self._meeting = True
            self._tell(_HAVE, b"".join(self._stock.ids(sent=True)))

    def _handle_other(self, kind: int, body: bytes) -> None:
        if kind == _HAVE:
            self._meet(_names(body))
        elif kind == _SHARE and self._meeting:
            self._met(_names(body))
        elif kind == _ALONE and self._meeting:
            self._meeting = False
            self._leave()
        elif kind == _KEEP:
            self._keep(body)
        elif kind == _LOST:
            self._full = True
            self._forget(_names(body))
        elif kind == _STOCKED:
            self._expect()
            self._load(body)
        else:
            super()._handle_other(kind, body)

    def _meet(self, theirs: list[bytes]) -> None:
        """The peer sends in this direction, and has these."""
        if self._stock is None:
            self._tell(_ALONE, b"")
            return
        have = set(self._stock.ids(sent=False))
        both = [name for name in theirs if name in have]
        self._stock.keep(False, both)
        self._kept = len(both)
        self._tell(_SHARE, b"".join(both))

    def _met(self, both: list[bytes]) -> None:
        """Of this party's extensions the peer has these."""
        self._meeting = False
        if self._stock is None:
            return
        if not set(both) <= set(self._stock.ids(sent=True)):
            raise FrameError(f"party {self.channel.peer} has extensions that it was never sent")
        self._stock.keep(True, both)
        self._shared = both

    def _keep(self, message: bytes) -> None:
        if self._stock is None or self._kept >= MOST:
            raise FrameError(f"party {self.channel.peer} sent an extension for a stock that is full, or is none")
        try:
            put = self._into.end.extend_into(self._stock, message)
        except ot.Reused as error:
            raise FrameError(f"party {self.channel.peer} sent an extension twice: {error}") from None
        if isinstance(put, OSError):
            self._tell(_LOST, ot.name_of(message))
        else:
            self._kept += 1

    def _forget(self, names: list[bytes]) -> None:
        """The peer does not have these."""
        if self._stock is not None and self._shared is not None:
            self._shared = [name for name in self._shared if name not in names]
            self._stock.keep(True, self._shared)

    def _load(self, name: bytes) -> None:
        try:
            if self._stock is None or len(name) != ID:
                raise ot.Reused("there is no such one")
            self._into.end.load(self._stock, name)
        except ot.Reused as error:
            raise FrameError(
                f"party {self.channel.peer} names an extension that is not in the stock here: {error}",
                wanted="one that is",
            ) from None
        self._kept -= 1
        self._settle(self._into)

    def work(self) -> bool:
        """One extension that the peer has asked for, of the stock if there is one; else one for the stock."""
        if self._meeting:
            return False
        with self._on_disk():
            if self._extended < self._wanted:
                return self._hand_out() if self._shared else super().work()
            return self._make_ahead()

    def _hand_out(self) -> bool:
        assert self._stock is not None and self._shared
        name = self._shared.pop()
        self._extended += 1
        try:
            self._out.end.load(self._stock, name)
        except ot.Reused as error:
            raise OSError(str(error)) from None  # somebody else has deleted it
        self._tell(_STOCKED, name)
        self._settle(self._out)
        return True

    def _make_ahead(self) -> bool:
        if self._stock is None or self._shared is None or self._full or not self._ready:
            return False
        if len(self._shared) >= min(self._extended, MOST):
            return False
        message, put = self._out.end.extend_into(self._stock)
        if isinstance(put, OSError):
            self._full = True
        else:
            self._shared.append(put)
        self._tell(_KEEP, message)
        return True

    def fail(self, error: ArgotError) -> None:
        super().fail(error)
        self._leave()

    # ---- details ----------------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Others may have the stock."""
        if self._stock is not None:
            self._stock.close()
        self._stock = self._shared = None

    @contextmanager
    def _on_disk(self) -> Iterator[None]:
        """PartyError for what the disk does not do."""
        try:
            yield
        except OSError as error:
            raise PartyError(
                f"products made ahead cannot be kept on the disk: {error}",
                todo=f"make room, or look after {self.channel.directory}",
            ) from None


def _names(body: bytes) -> list[bytes]:
    found = [body[i : i + ID] for i in range(0, len(body), ID)]
    if len(body) % ID or len(set(found)) < len(found):
        raise FrameError(f"{len(body)} bytes of names of extensions", wanted=f"names of {ID}, each once")
    return found

"""Products of random bits that two parties keep with each other, and make ahead of their use, on disks if they may.

A product is made of a correlated transfer as soon as that is there, of 1,024 bytes 16 (`crates/ot/src/words.rs`). Rows,
ranges and extensions are those of `pair.py`; ranges count words of 64 products.

While there is nothing else to do, the party that sends in a direction makes as many extensions as were used, `MOST`
at most, and both put them on their disks (`crates/ot/src/stock.rs`). Where one is wanted, one of these is taken, else
made. They outlast devices and agents: at the first use each direction's sender says which it has, the receiver which of
them it has, too, and both give up the others. So what a crash left at one party alone is lost, and nothing comes twice.
One device of two parties has the stock at a time. Without a place on the disk as many are made ahead in memory.
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

_HAVE, _SHARE, _ALONE, _KEEP, _STOCKED = range(16, 21)
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
        self._looked = False
        self._meeting = False
        self._shared: list[bytes] | None = None  # names of what both have, where this party sends; None without a stock
        self._kept = 0  # how many there are where it receives

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
        return 0 if self.channel.directory is not None else min(self._allotted, MOST * self._into.end.gain)

    # ---- the channel ------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        super()._begin()
        if (stock := self._opened()) is not None:
            self._meeting = True
            self._tell(_HAVE, b"".join(stock.ids(sent=True)))

    def _handle_other(self, kind: int, body: bytes) -> None:
        with self._on_disk():
            if kind == _HAVE:
                self._meet(_names(body))
            elif kind in (_SHARE, _ALONE) and self._meeting:
                self._met(_names(body) if kind == _SHARE else None)
            elif kind == _KEEP:
                self._keep(body)
            elif kind == _STOCKED:
                self._expect()
                self._load(body)
            else:
                super()._handle_other(kind, body)

    def _meet(self, theirs: list[bytes]) -> None:
        """The peer sends in this direction, and has these."""
        if (stock := self._opened()) is None:
            self._tell(_ALONE, b"")
            return
        have = set(stock.ids(sent=False))
        both = [name for name in theirs if name in have]
        stock.keep(False, both)
        self._kept = len(both)
        self._tell(_SHARE, b"".join(both))

    def _met(self, both: list[bytes] | None) -> None:
        """Of this party's extensions the peer has these."""
        self._meeting = False
        if both is None or self._stock is None:
            return
        if not set(both) <= set(self._stock.ids(sent=True)):
            raise FrameError(f"party {self.channel.peer} has extensions that it was never sent")
        self._stock.keep(True, both)
        self._shared = both

    def _keep(self, message: bytes) -> None:
        if self._stock is None or self._kept >= MOST:
            raise FrameError(f"party {self.channel.peer} sent an extension for a stock that is full, or is none")
        self._into.end.extend_into(self._stock, message)
        self._kept += 1

    def _load(self, name: bytes) -> None:
        try:
            if self._stock is None or len(name) != ID:
                raise ot.Reused("there is no such one")
            self._into.end.load(self._stock, name)
        except ot.Reused as error:
            raise FrameError(
                f"party {self.channel.peer} names an extension that is not in the stock: {error}", wanted="one that is"
            ) from None
        self._kept -= 1
        self._settle(self._into)

    def work(self) -> bool:
        """One extension that the peer has asked for, of the stock if there is one; else one for the stock."""
        if self._meeting:
            return False
        with self._on_disk():
            if self._extended < self._wanted:
                if not self._shared or self._stock is None:
                    return super().work()
                name = self._shared.pop()
                self._extended += 1
                self._out.end.load(self._stock, name)
                self._tell(_STOCKED, name)
                self._settle(self._out)
                return True
            if self._stock is None or self._shared is None or not self._ready:
                return False
            if len(self._shared) >= min(self._extended, MOST):
                return False
            name, message = self._out.end.extend_into(self._stock)
            self._shared.append(name)
            self._tell(_KEEP, message)
            return True

    def fail(self, error: ArgotError) -> None:
        super().fail(error)
        self._stock = None  # and with it the lock on its directory

    # ---- details ----------------------------------------------------------------------------------------------------

    def _opened(self) -> ot.Stock | None:
        """None without a place for it, and where another device of the two parties has it."""
        if not self._looked and self.channel.directory is not None:
            with suppress(ot.InUse):
                self._stock = ot.Stock(self.channel.directory)
        self._looked = True
        return self._stock

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
    if len(body) % ID:
        raise FrameError(f"{len(body)} bytes of names of extensions", wanted=f"a multiple of {ID}")
    return [body[i : i + ID] for i in range(0, len(body), ID)]

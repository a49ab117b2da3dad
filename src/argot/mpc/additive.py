"""Additive shares among n parties: x = x0 + ... + xn-1, in Z_2^k for numbers and in GF(2) for bits; party i holds xi.

What all protocols on such shares have in common: sums, values in and out, and the circuits that need nothing but
products of bits. A protocol adds products (`semi2k.py`).

Members of the session beyond the n that compute, such as a dealer, hold zeros: they may own what is shared, and be
told what is revealed, and all sums come out right with them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._core import ring
from ..runtime import Spec, cost
from ..runtime.link import Link
from ..runtime.party import Party
from . import adder
from .bits import Bits
from .protocol import Arith, Array, Bool, Protocol, addends_of, full, operand

Column = Array | Bits
"""What one party has of a share: numbers or words."""


class Additive(Protocol):
    """One of n parties of which all but one may be curious together."""

    digit: int = 1
    """Bits of the digits that comparisons of two parties begin with; 1: products of private bits."""

    def __init__(
        self,
        party: Party,
        ring: int | str | np.dtype[Any] = 64,
        fraction_bits: int | None = None,
        link: Link | None = None,
        dealer: bool = False,
    ) -> None:
        super().__init__(party, ring, fraction_bits, link, dealer)
        self.parties = party.n
        self.n = party.n - dealer
        self.computes = party.rank < self.n

    @property
    def variables(self) -> dict[str, int]:
        """Of cost formulas, beside those of every protocol: `members` that compute, of which everyone tells all others
        something in `all` messages."""
        return {"members": self.n, "all": self.n * (self.n - 1), "dealt": self.party.n - self.n}

    # ---- local --------------------------------------------------------------------------------------------------

    def public(self, x: Array) -> Arith:
        """(x, 0, ..., 0)."""
        return Arith((x if self.party.rank == 0 else full(0, x.shape, x.dtype),))

    def public_bits(self, b: Bits) -> Bool:
        """(b, 0, ..., 0)."""
        return Bool((b if self.party.rank == 0 else Bits.zeros(b.shape, b.width),))

    def add_public(self, x: Arith, c: Array | int) -> Arith:
        """c is added to x0 alone."""
        return Arith((ring.add(x.parts[0], operand(c, x.dtype)),)) if self.party.rank == 0 else x

    def xor_public(self, x: Bool, c: Bits) -> Bool:
        return Bool((x.parts[0] ^ c,)) if self.party.rank == 0 else x

    def not_(self, x: Bool) -> Bool:
        return Bool((~x.parts[0],)) if self.party.rank == 0 else x

    def random_bits(self, shape: Sequence[int], width: int) -> Bool:
        """The sum of what each party draws for itself: nothing is sent."""
        shape = tuple(shape)
        return Bool((self._drawn_bits(shape, width, self.party.rank) if self.computes else Bits.zeros(shape, width),))

    # ---- in and out ---------------------------------------------------------------------------------------------

    @classmethod
    def parts_of(cls, x: Array | Bits, n: int) -> list[tuple[Array | Bits, ...]]:
        """An addend each."""
        return [(part,) for part in addends_of(x, n)]

    @cost(rounds="outside", bits="k * outside")
    async def share(self, x: Array | None, owner: int, shape: Sequence[int] | None = None) -> Arith:
        """Every other part is a draw that its party has in common with the owner, who keeps the rest. Of an owner who
        does not compute, the last party gets the rest.
        """
        p, last = self.party, self.n - 1
        if p.rank == owner:
            assert x is not None, "the owner has the value"
            rest = x
            for rank in range(self.n):
                if rank != owner and (owner < self.n or rank != last):
                    rest = ring.sub_stream(rest, p.key(owner, rank))
            if self.computes:
                return Arith((rest,))
            p.send(last, rest)
            return Arith((full(0, x.shape, self.dtype),))
        assert shape is not None, "those who do not own it say its shape"
        shape = tuple(shape)
        if not self.computes:
            return Arith((full(0, shape, self.dtype),))
        if owner >= self.n and p.rank == last:
            return Arith((await p.recv(owner, Spec(shape, self.dtype)),))
        return Arith((p.draw(shape, self.dtype, owner, p.rank),))

    @cost(rounds="outside", bits="w * outside")
    async def share_bits(
        self, b: Bits | None, owner: int, shape: Sequence[int] | None = None, width: int | None = None
    ) -> Bool:
        """As `share`."""
        p, last = self.party, self.n - 1
        if p.rank == owner:
            assert b is not None, "the owner has the value"
            rest = b
            for rank in range(self.n):
                if rank != owner and (owner < self.n or rank != last):
                    rest = rest ^ self._drawn_bits(b.shape, b.width, owner, rank)
            if self.computes:
                return Bool((rest,))
            p.send(last, rest)
            return Bool((Bits.zeros(b.shape, b.width),))
        assert shape is not None and width is not None, "those who do not own it say its shape"
        nothing = Bits.zeros(tuple(shape), width)
        if not self.computes:
            return Bool((nothing,))
        if owner >= self.n and p.rank == last:
            return Bool((await p.recv(owner, nothing),))
        return Bool((self._drawn_bits(nothing.shape, width, owner, p.rank),))

    @cost(rounds="1", bits="k * told")
    async def reveal_to(self, x: Arith, ranks: Iterable[int]) -> Array | None:
        """Each party sends its part, hidden by a share of zero: the recipient learns the sum and not the parts, which a
        truncation may have made of the parts before. Where it is one of two parties, the other's part follows from the
        sum anyway.
        """
        p, ranks = self.party, frozenset(ranks)
        own = x.parts[0]
        if self._hides(ranks):
            for before, after in self._pairs():
                move = ring.add_stream if p.rank == before else ring.sub_stream
                own = move(own, p.key(before, after))
        if self.computes:
            self._tell(own, ranks)
        if p.rank not in ranks:
            return None
        for rank in self._others():
            own = ring.add(own, await p.recv(rank, own))
        return own

    @cost(rounds="1", bits="w * told")
    async def reveal_bits_to(self, b: Bool, ranks: Iterable[int]) -> Bits | None:
        """As `reveal_to`."""
        p, ranks = self.party, frozenset(ranks)
        own = b.parts[0]
        if self._hides(ranks):
            for pair in self._pairs():
                own = own ^ self._drawn_bits(own.shape, own.width, *pair)
        if self.computes:
            self._tell(own, ranks)
        if p.rank not in ranks:
            return None
        for rank in self._others():
            own = own ^ await p.recv(rank, own)
        return own

    def _hides(self, ranks: frozenset[int]) -> bool:
        return self.computes and (self.n > 2 or any(rank >= self.n for rank in ranks))

    def _tell(self, part: Array | Bits, ranks: frozenset[int]) -> None:
        for rank in sorted(ranks - {self.party.rank}):
            self.party.send(rank, part)

    # ---- products that are truncated ------------------------------------------------------------------------------

    @cost("mul() + trunc()")
    async def mul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        """[floor(x y / 2^d)] + {0, 1}"""
        return await self.trunc(await self.mul(x, y), self.fraction_bits if d is None else d)

    @cost("square() + trunc()")
    async def square_trunc(self, x: Arith, d: int | None = None) -> Arith:
        """As `mul_trunc`."""
        return await self.trunc(await self.square(x), self.fraction_bits if d is None else d)

    @cost("matmul() + trunc()")
    async def matmul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        """As `mul_trunc`."""
        return await self.trunc(await self.matmul(x, y), self.fraction_bits if d is None else d)

    @cost("convolve() + trunc()")
    async def convolve_trunc(self, x: Arith, w: Arith, stride: int, d: int | None = None) -> Arith:
        """As `mul_trunc`."""
        return await self.trunc(await self.convolve(x, w, stride), self.fraction_bits if d is None else d)

    # ---- products of bits, and what is made of them ---------------------------------------------------------------

    @abstractmethod
    async def ands(self, x: Bool, ys: Sequence[Bool]) -> list[Bool]:
        """x & y for each of several y. One that is narrower than x meets the highest bits of x."""

    @abstractmethod
    async def _private_and(self, own: Bits) -> Bool:
        """Of two parties: the product of what one has and what the other has, of equal shapes and widths."""

    async def _digits(self, own: Bits) -> tuple[Bool, Bool]:
        """Of two parties, where digits have more than a bit: of the sum of both parties' words, digit by digit from the
        lowest, whether it carries; and, of all digits but the lowest, whether it passes a carry on."""
        raise NotImplementedError

    @cost(rounds="1", bits="all * 2 * w + dealt * w")
    async def and_(self, x: Bool, y: Bool) -> Bool:
        """See `ands`."""
        (both,) = await self.ands(x, [y])
        return both

    def addend(self, x: Arith, width: int) -> Bits:
        """The low bits of this party's part."""
        return Bits.from_ring(x.parts[0], width)

    @cost(rounds="adder.word_rounds(w, members)", bits="adder.word_bits(w, members, all, dealt)")
    async def a2b(self, x: Arith, width: int | None = None) -> Bool:
        """The parts are added up as words of bits."""
        return await adder.total(self, x, x.k if width is None else width)

    @cost(
        rounds="adder.top_rounds(max(1, min(l, k)), members)",
        bits="adder.top_bits(max(1, min(l, k)), members, all, dealt)",
    )
    async def msb(self, x: Arith, bound: int | None = None) -> Bool:
        """The top of so many bits of the sum of the parts: its lower bits count by their carry alone. A number below
        2^(l-1) is the same in Z_2^l, where each part has l bits only.
        """
        return await adder.sign(self, x, self._width(x, bound))

    @cost(
        rounds="adder.zero_rounds(max(1, min(l, k)), members)",
        bits="adder.zero_bits(max(1, min(l, k)), members, all, dealt)",
    )
    async def equal(self, x: Arith, y: Arith, bound: int | None = None) -> Bool:
        """Whether the parts of x - y add up to zero."""
        return await adder.is_zero(self, self.sub(x, y), self._width(x, bound))

    @staticmethod
    def _width(x: Arith, bound: int | None) -> int:
        return x.k if bound is None else max(1, min(bound, x.k))

    # ---- details --------------------------------------------------------------------------------------------------

    def _others(self) -> list[int]:
        """All other parties that compute."""
        return [rank for rank in range(self.n) if rank != self.party.rank]

    def _pairs(self) -> list[tuple[int, int]]:
        """Those of two computing parties that this one is in, the lower rank first."""
        me = self.party.rank
        return [(min(me, rank), max(me, rank)) for rank in self._others()]

    def _drawn_bits(self, shape: tuple[int, ...], width: int, *ranks: int) -> Bits:
        return Bits.drawn(self.party.key(*ranks), shape, width)

    async def _open(self, *parts: Any) -> list[Any]:
        """The sums of arrays and words of which each computing party has a part, at all of them. Whoever does not
        compute gets what it gave."""
        if not self.computes:
            return list(parts)
        p, others = self.party, self._others()
        for rank in others:
            for part in parts:
                p.send(rank, part)
        totals = list(parts)
        for rank in others:
            for i, part in enumerate(parts):
                totals[i] = plus(totals[i], await p.recv(rank, part))
        return totals


def plus(x: Column, y: Column) -> Column:
    """The sum of two parts of one kind."""
    if isinstance(x, Bits):
        assert isinstance(y, Bits)
        return x ^ y
    assert not isinstance(y, Bits)
    found: Array = ring.add(x, y)
    return found


def minus(x: Column, y: Column) -> Column:
    """Their difference."""
    if isinstance(x, Bits):
        return plus(x, y)
    assert not isinstance(y, Bits)
    found: Array = ring.sub(x, y)
    return found

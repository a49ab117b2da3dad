"""Correlations for one circuit, taken together: the parties tell each other once where their ranges start.

Of a correlated transfer the pads make, without a message, a product of a random bit of the receiver and random bits
of the sender (`ot.SenderCots.products`): one bit with as many others as are wanted.

* Two parties: one transfer of each direction is a triple (a0 + a1)(b0 + b1), a the receivers' bits, b the senders'.
* More: each has bits a and b of its own, the same with all others. With random r and s, shared r s, between two of
  them, e = a + r and f = b + s are sent, and a b = (r s + a f) + e s, the first two terms at the receiver, the last
  at the sender.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from .._core import ot
from ..runtime.party import Party
from .bits import Bits
from .pair import Pair, messages_of
from .transfer_costs import halves

Shape = tuple[int, ...]

PRODUCTS_NS = 15
"""For each transfer, about."""

DIGITS_NS = 10
"""For each bit of a digit."""


def words_of(own: Bits, elements: slice) -> np.ndarray[Any, Any]:
    """Planes of some elements, which begin with a word."""
    return np.ascontiguousarray(own.planes[:, elements.start // 64 : -(-elements.stop // 64)])


class Lot(ABC):
    """What one party has of it."""

    @abstractmethod
    async def triples(self, width: int, widths: Sequence[int]) -> tuple[Bits, list[Bits], list[Bits]]:
        """Words a, and for each of `widths` words b and the products of b and the highest bits of a."""

    async def leaves(self, width: int) -> tuple[Bits, Bits]:
        """Of two parties: words of its own for each, and parts of their products."""
        raise NotImplementedError


class LotOfTwo(Lot):
    """A range of each direction, cut as it is used: no correlation is held twice."""

    def __init__(self, party: Party, shape: Shape, joins: int, leaves: int, digits: int = 0) -> None:
        """Says where this party's range starts; where the peer's does is heard when it is needed."""
        self.party, self.shape, self.n = party, shape, prod(shape)
        self.peer = 1 - party.rank
        self.pair = party.kept(self.peer, Pair)
        # Of the products of private bits each party asks for half; of digits, for those of half of the elements.
        low = (leaves + 1) // 2
        self.counts = (leaves - low, low) if party.rank == 0 else (low, leaves - low)
        asks = halves(self.n)
        self.asks = asks[::-1] if party.rank == 0 else asks
        own, theirs = (joins * self.n + self.counts[i] * self.n + self.asks[i] * digits for i in range(2))
        self.into = self.pair.allot(own) if own else 0
        self.out: int | None = None if theirs else 0
        if own:
            self.pair.tell(party, self.into)

    async def triples(self, width: int, widths: Sequence[int]) -> tuple[Bits, list[Bits], list[Bits]]:
        a, v = await self._received(width, len(widths))
        b, u = await self._sent(width, len(widths))
        bs, cs = [], []
        for i, w in enumerate(widths):
            rows = ((i + 1) * width - w, (i + 1) * width)
            own = b.planes_at(*rows)
            bs.append(own)
            cs.append(u.planes_at(*rows) ^ v.planes_at(*rows) ^ (a.planes_at(width - w, width) & own))
        return a, bs, cs

    async def leaves(self, width: int) -> tuple[Bits, Bits]:
        a, v = await self._received(self.counts[0], 1)
        b, u = await self._sent(self.counts[1], 1)
        # The lower half is asked for by party 1.
        return (
            Bits.stack_planes([b, a] if self.party.rank == 0 else [a, b]),
            Bits.stack_planes([u, v] if self.party.rank == 0 else [v, u]),
        )

    async def _received(self, width: int, strings: int) -> tuple[Bits, Bits]:
        """Bits of this party's, and parts of their products with `strings` bits each of the peer's."""
        if width * self.n == 0:
            return self._none(width), self._none(strings * width)
        cots = await self._receives(width * self.n)
        cost_ns = PRODUCTS_NS * width * self.n
        found = await self.party.compute(cots.products, self.n, strings, cost_ns=cost_ns)
        return Bits(found[0], self.shape), Bits(found[1], self.shape)

    async def _sent(self, width: int, strings: int) -> tuple[Bits, Bits]:
        """`strings` bits of this party's for each, and parts of their products with those of the peer."""
        if width * self.n == 0:
            return self._none(strings * width), self._none(strings * width)
        cots = await self._sends(width * self.n)
        cost_ns = 2 * PRODUCTS_NS * width * self.n
        found = await self.party.compute(cots.products, self.n, strings, cost_ns=cost_ns)
        return Bits(found[0], self.shape), Bits(found[1], self.shape)

    async def digits(self, own: Bits, bits: int) -> tuple[Bits, Bits]:
        """Parts of G and P of digits of `bits` bits: the first half of the elements asked for by party 1, the rest by
        party 0."""
        p, width = self.party, own.width
        if self.n == 0:
            return self._none(-(-width // bits)), self._none(-(-width // bits))
        asked, answered = self.asks
        mine, theirs = (
            (slice(answered, self.n), slice(0, answered)) if p.rank == 0 else (slice(0, asked), slice(asked, self.n))
        )
        words = {True: words_of(own, mine), False: words_of(own, theirs)}
        into = await self._receives(width * asked) if asked else None
        if into is not None:
            p.send(self.peer, into.choose(words[True], asked))
        await self._heard()
        found: dict[bool, Any] = {}
        if answered:
            out = await self._sends(width * answered)
            with messages_of(self.peer):
                out.follow(await p.recv(self.peer, -(-width * answered // 8)))
            cost_ns = DIGITS_NS * width * answered
            g, passes, message = await p.compute(out.digits, words[False], answered, bits, cost_ns=cost_ns)
            p.send(self.peer, message)
            found[False] = g, passes
        if into is not None:
            message = await p.recv(self.peer, ot.digits_bytes(asked, width, bits))
            cost_ns = DIGITS_NS * width * asked
            with messages_of(self.peer):
                found[True] = await p.compute(into.digits, asked, width, bits, message, cost_ns=cost_ns)
        order = [part for part in ((False, True) if p.rank == 0 else (True, False)) if part in found]
        g, passes = (np.concatenate([found[part][i] for part in order], axis=1) for i in range(2))
        return Bits(g, self.shape), Bits(passes, self.shape)

    async def _receives(self, n: int) -> ot.ReceiverCots:
        start, self.into = self.into, self.into + n
        return await self.pair.receiver(self.party, start, n)

    async def _sends(self, n: int) -> ot.SenderCots:
        start = await self._heard()
        self.out = start + n
        return await self.pair.sender(self.party, start, n)

    async def _heard(self) -> int:
        """Where the peer's range goes on."""
        if self.out is None:
            self.out, _ = await self.pair.heard(self.party)
        return self.out

    def _none(self, width: int) -> Bits:
        return Bits.zeros(self.shape, width)


class LotOfMany(Lot):
    """Triples of all, made at once."""

    def __init__(self, party: Party, others: Sequence[int], shape: Shape, joins: int, strings: int) -> None:
        self.party, self.others = party, others
        self.shape, self.width, self.strings = shape, joins, strings
        me = party.rank
        self.a = Bits.drawn(party.key(me), shape, joins)
        self.b = [Bits.drawn(party.key(me), shape, joins) for _ in range(strings)]
        self.c = [self.a & b for b in self.b]
        self.used = 0

    async def begin(self) -> LotOfMany:
        """All products with all others."""
        if prod(self.shape) == 0:
            return self
        p, n = self.party, prod(self.shape)
        count, into = self.width * n, {}
        for peer in self.others:
            pair = p.kept(peer, Pair)
            into[peer] = pair.allot(count)
            pair.tell(p, into[peer])
        ends = {}
        for peer in self.others:
            pair = p.kept(peer, Pair)
            out, _ = await pair.heard(p)
            received = await pair.receiver(p, into[peer], count)
            sent = await pair.sender(p, out, count)
            r, v = (Bits(x, self.shape) for x in received.products(n, self.strings))
            s, u = (Bits(x, self.shape) for x in sent.products(n, self.strings))
            ends[peer] = s, u, v
            p.send(peer, self.a ^ r)
            p.send(peer, Bits.stack_planes(self.b) ^ s)
        for peer in self.others:
            s, u, v = ends[peer]
            e = await p.recv(peer, self.a)
            f = await p.recv(peer, Bits.zeros(self.shape, self.strings * self.width))
            for i in range(self.strings):
                rows = (i * self.width, (i + 1) * self.width)
                parts = u.planes_at(*rows) ^ v.planes_at(*rows)
                self.c[i] = self.c[i] ^ parts ^ (self.a & f.planes_at(*rows)) ^ (e & s.planes_at(*rows))
        return self

    async def triples(self, width: int, widths: Sequence[int]) -> tuple[Bits, list[Bits], list[Bits]]:
        start, stop = self.used, self.used + width
        self.used = stop
        ends = [(stop - w, stop) for w in widths]
        return (
            self.a.planes_at(start, stop),
            [b.planes_at(*rows) for b, rows in zip(self.b, ends, strict=False)],
            [c.planes_at(*rows) for c, rows in zip(self.c, ends, strict=False)],
        )

"""Semi2k: any number of parties, of which all but one may be curious together; additive shares (SPDZ2k without its
checks: Cramer et al., eprint 2018/482; Damgard et al., eprint 2019/599).

Products of numbers are Beaver's (CRYPTO 1991): with random a, b and c = a b, shared and used once, the parties open
e = x - a and f = y - b, and x y = c + e b + a f + e f. Every pair of parties makes the cross terms of c = a b by
lattice encryption or transfers; whatever else there is comes from transfers too: `transfers.py`. With a dealer it is
another protocol on the same shares: `semi2k_dealer.py`.

What each message hides is written down in transfers.md.
"""

from __future__ import annotations

from typing import ClassVar, final

from .._core import ring
from ..runtime import cost
from . import transfer_costs as costs  # noqa: F401  # of formulas
from .protocol import About, Arith, Protocol
from .semi2k_dealer import Semi2kDealer
from .transfers import Transfers

OPENED = "all * k"
"""A number opened: everybody sends its part of it to all others."""


@final
class Semi2k(Transfers):
    """Semi-honest security against all parties but one. See transfers.md."""

    parties: int = 2
    most: ClassVar[int] = 8
    has_order: ClassVar[bool] = True
    about: ClassVar[About | None] = About(
        parties="2 to 8",
        adversary="semi-honest: follow the program, join and analyse what they see",
        threshold="safe against all parties but one",
        assumes="ring-LWE and parity with noise at 128 bits, Diffie-Hellman on ristretto255; authenticated channels,"
        " AES-128 as an ideal cipher, BLAKE3 as a pseudo-random function",
        leaks="program, shapes, bounds; what is revealed; of a revealed truncated value one bit on what was dropped",
        note="src/argot/mpc/transfers.md",
    )
    forms: ClassVar[tuple[tuple[int, bool], ...]] = ((2, False), (4, False), (3, True), (5, True))

    @classmethod
    def dealt(cls) -> type[Protocol]:
        return Semi2kDealer

    @cost(rounds="Transfers.mul() + costs.opened(members)", bits=f"Transfers.mul() + 2 * {OPENED}")
    async def mul(self, x: Arith, y: Arith) -> Arith:
        """Beaver's product."""
        if x.shape != y.shape:
            return await super().mul(x, y)
        a, b = self._random(x), self._random(y)
        c = (await super().mul(a, b)).parts[0]
        e, f = await self._open(ring.sub(x.parts[0], a.parts[0]), ring.sub(y.parts[0], b.parts[0]))
        other = b.parts[0]
        if self.party.rank == 0:
            other = ring.add(other, f)
        return Arith((ring.add(ring.add(c, ring.mul(e, other)), ring.mul(f, a.parts[0])),))

    @cost(rounds="Transfers.square() + costs.opened(members)", bits=f"Transfers.square() + {OPENED}")
    async def square(self, x: Arith) -> Arith:
        """x^2 = a^2 + 2 e a + e^2."""
        a = self._random(x)
        c = (await super().square(a)).parts[0]
        (e,) = await self._open(ring.sub(x.parts[0], a.parts[0]))
        factor = ring.shl(a.parts[0], 1)
        if self.party.rank == 0:
            factor = ring.add(factor, e)
        return Arith((ring.add(c, ring.mul(e, factor)),))

    @cost(
        rounds="Transfers.matmul() + costs.opened(members)", bits=f"Transfers.matmul() + {OPENED} * (left + right) / n"
    )
    async def matmul(self, x: Arith, y: Arith) -> Arith:
        """As `mul`: what is opened are the two matrices, of `left` and `right` elements."""
        a, b = self._random(x), self._random(y)
        c = (await super().matmul(a, b)).parts[0]
        e, f = await self._open(ring.sub(x.parts[0], a.parts[0]), ring.sub(y.parts[0], b.parts[0]))
        other = b.parts[0]
        if self.party.rank == 0:
            other = ring.add(other, f)
        work = 2 * x.size * y.shape[-1]
        # a f + e other in one product of twice the depth: a (other + (f - other)) + e other
        z = await self.party.compute(ring.cross_matmul, a.parts[0], e, other, ring.sub(f, other), cost_ns=work / 10)
        return Arith((ring.add(c, z),))

    def _random(self, like: Arith) -> Arith:
        """Numbers that nobody knows."""
        return Arith((self.party.draw(like.shape, self.dtype, self.party.rank),))

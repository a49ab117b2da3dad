"""Cheetah: two parties alone (Huang, Lu, Hong, Ding: USENIX Security 2022, eprint 2022/207).

Additive shares of two parties. Products come from lattice encryption where there are many, else from oblivious
transfer; comparisons, truncation and conversions from silent transfers: `transfers.py`, of which this is the form for
two. Beside it there are the functions that are sums of products of what one party knows of x and what the other knows
(`additive_functions.py`). What each message hides is written down in transfers.md.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Coroutine
from typing import Any, ClassVar, final

import numpy as np

from .._core import ot, ring
from ..runtime import cost, gather
from . import additive_functions as functions
from . import cheetah_functions as mantissas
from . import transfer_costs as costs
from .bits import Bits
from .lots import words_of
from .pair import messages_of
from .protocol import About, Arith, Array, Bool, full
from .sums import U64, WIDE, Sum, low_bits
from .transfers import Transfers

WHOLE, LOW_WHOLE, BELOW = 57, 5, 8
"""Fraction bits of an exponent, bits of its whole part that are a factor, and how far powers are moved up."""

POWER_DIGITS = 28
POWER_DROP = WIDE - 4 - POWER_DIGITS
"""Fraction bits of a power of two between 1 and 4, and those that are dropped from a product of two."""

POWER_LIFT = f"_lift(k=64, width={WIDE}, drop={POWER_DROP})"

NEAR_NS = 40
"""For each bit of words that are compared."""


@final
class Cheetah(Transfers, functions.Sums):
    """Semi-honest security of two parties against each other. See transfers.md."""

    parties: int = 2
    has_order: ClassVar[bool] = True
    about: ClassVar[About | None] = About(
        parties="2",
        adversary="semi-honest: follow the program and analyse what they see",
        threshold="safe against either party",
        assumes="ring-LWE and parity with noise at 128 bits, Diffie-Hellman on ristretto255; authenticated channels,"
        " AES-128 as an ideal cipher, BLAKE3 as a pseudo-random function",
        leaks="program, shapes, bounds; what is revealed; of a revealed truncated value one bit on what was dropped",
        note="src/argot/mpc/transfers.md",
    )

    # ---- functions: additive_functions.py ---------------------------------------------------------------------------

    exp, sigmoid, tanh, erf = functions.exp, functions.sigmoid, functions.tanh, functions.erf
    sin, cos = functions.sin, functions.cos
    reciprocal, divide, log = mantissas.reciprocal, mantissas.divide, mantissas.log
    sqrt, rsqrt = mantissas.sqrt, mantissas.rsqrt

    @cost(rounds="costs.factor_rounds(n, rows)", bits="costs.factor_bits(n, rows, bytes)")
    async def _harmonics(self, angle: Array, s: Sum, width: int) -> Array:
        """With t = a + b, a known to party 0 and b to party 1, a sum of products of what each knows:

        c cos(kt) + d sin(kt) = cos(ka) (c cos(kb) + d sin(kb)) + sin(ka) (d cos(kb) - c sin(kb)).
        """
        rows = await self.party.compute(_factors, angle, s, self.party.rank == 0, cost_ns=angle.size * 30 * len(s.cos))
        total = await self._factor_sums(rows, s.bytes)
        if self.party.rank == 0:
            total = ring.add(total, full(s.constant, (), U64))
        return low_bits(total, 8 * s.bytes)

    @cost(
        rounds=f"""
        gather(costs.near_rounds(n) + {LOW_WHOLE} * costs.mul_bit_rounds(2), costs.factor_rounds(n, 1) + {POWER_LIFT})
        + mul(k=64) + trunc(d=1) + mul_bit(k=64)
        """,
        bits=f"""
        costs.near_bits(n, {LOW_WHOLE + 1}, {LOW_WHOLE + 1}, {LOW_WHOLE + 1})
        + {LOW_WHOLE} * costs.times_bits(64, n, 1, 1)
        + costs.factor_bits(n, 1, {WIDE // 8}) + {POWER_LIFT} + mul(k=64)
        + trunc(k=64, d={POWER_DIGITS + BELOW}) + trunc(k=64, d={POWER_DIGITS + BELOW - 2**LOW_WHOLE}) + mul_bit(k=64)
        """,
    )
    async def _power(self, exponent: Array, shift: int) -> Array:
        """For y + shift from 57 up to 119. Of the parts of y, the fractions t and t' give a factor each, and the whole
        ones add up to i mod 64, with the bits b_j. Then 2^y is

            2^(t + t') (1 + b_0) (1 + 3 b_1) (1 + 15 b_2) (1 + 255 b_3) (1 + 65535 b_4) 2^(32 b_5),

        where the last factor chooses between two truncations, so that what comes before has room for 28 fraction bits.
        """
        n, first = exponent.size, self.party.rank == 0
        wide = copy.copy(self)
        wide.dtype, wide.k = U64, 64
        turns = low_bits(exponent, WHOLE).astype(np.float64) * 2.0**-WHOLE
        largest = 2 ** (WIDE // 2 - 1)
        factor = np.minimum(np.rint(np.exp2(turns) * (largest // 2)), largest - 1).astype(np.uint64)
        whole = ring.shr(exponent, WHOLE)
        if first:
            whole = ring.add(whole, full(shift - 64 + BELOW, (), U64))

        async def fractions() -> Arith:
            product = await self._factor_sums(factor[None], WIDE // 8)
            return await wide._lift(low_bits(product, WIDE), WIDE, POWER_DROP, (n,))

        async def wholes() -> tuple[Array, Bits]:
            number, other = (Bits.from_ring(word, LOW_WHOLE + 1) for word in (whole, ring.neg(whole)))
            bits = Bits((await self._near(number, other, LOW_WHOLE + 1, (), LOW_WHOLE + 1))[:, 0], (n,))
            power = full(int(first), (n,), U64)
            for j in range(LOW_WHOLE):
                (more,) = await wide._times(bits.planes_at(j, j + 1), power)
                power = ring.add(power, ring.mul(more, full(2 ** (2**j) - 1, (), U64)))
            return power, bits.planes_at(LOW_WHOLE, LOW_WHOLE + 1)

        fraction, (power, high) = await gather(fractions(), wholes())
        product = await wide.mul(fraction, Arith((power,)))
        small, large = await gather(
            wide.trunc(product, POWER_DIGITS + BELOW), wide.trunc(product, POWER_DIGITS + BELOW - 2**LOW_WHOLE)
        )
        (found,) = (await wide.select(Bool((high,)), large, small)).parts
        return found

    async def _factor_sums(self, own: Array, bytes: int) -> Array:
        """This party's part, mod 2^64 or at least mod 2^(8 bytes), of the sums over the rows of products of signed
        numbers, one of each party. With x' = x + 2^(size-1), which is not negative, x y = x' y' less what each party
        has of 2^(size-1) (x' + y') - 2^(2 size - 2).

        Each party asks for the sum of half of the rows, in ciphertexts of one row each; of elements that would leave
        these empty, for products in a row.
        """
        p, peer, (rows, n) = self.party, 1 - self.party.rank, own.shape
        size = costs.factor_size(bytes, rows)
        lifted = ring.add(own, full(1 << (size - 1), (), U64))
        rest = ring.shl(ring.sum(lifted, (0,)), size - 1)
        if p.rank == 0:
            rest = ring.sub(rest, full(rows << (2 * size - 2), (), U64))
        if n * rows <= costs.FEW_FACTORS:
            bits = Bits.from_ring(lifted.reshape(-1), size) if p.rank == 1 else None
            deltas = None if bits else lifted.reshape(-1)
            products = await self._scaled(peer, bits, deltas, size, 0, n * rows, U64)
            return ring.sub(ring.sum(products.reshape(rows, n), (0,)), rest)
        widths, whole, half = costs.factor_widths(bytes, rows), costs.summed(n, rows), rows - rows // 2

        def summed(part: Array, asks: bool) -> Coroutine[Any, Any, Array]:
            terms = [np.ascontiguousarray(row[:whole]) for row in part]
            return self._encrypted_products(peer, terms if asks else terms[::-1], asks, *widths)

        async def one_by_one() -> Array:
            flat = np.ascontiguousarray(lifted[:, whole:]).reshape(-1)
            return ring.sum((await self._products_of_both(peer, [flat], *widths)).reshape(rows, -1), (0,))

        jobs = [summed(lifted[:half], p.rank == 1), summed(lifted[half:], p.rank == 0)] if whole else []
        found = await gather(*jobs, *([one_by_one()] if whole < n else []))
        total = [ring.add(found[0], found[1])] if whole else []
        return ring.sub(np.concatenate([*total, *found[len(jobs) :]]), rest)

    @cost(rounds="costs.asked(2)", bits="costs.scaled_bits(k, n, 1, width - drop)")
    async def _lift(self, addend: Array, width: int, drop: int, shape: tuple[int, ...]) -> Arith:
        """As `trunc` of two, from Z_2^width: a wrap counts 2^(width-drop) there."""
        p, n = self.party, addend.size
        first = p.rank == 0
        z = ring.cast(addend, U64)
        if first:
            z = ring.add(z, full(1 << (width - 2), (), U64))
        z = low_bits(z, width)
        stays = ring.cast(ring.shr(ring.invert(ring.shl(z, 64 - width)), 63), self.dtype)
        bits = None if first else Bits.from_ring(stays, 1)
        wraps = await self._scaled(1 - p.rank, bits, stays if first else None, 1, width - drop, n)
        part = ring.add(ring.cast(ring.shr(z, drop), self.dtype), wraps)
        if first:
            part = ring.add(part, full(1 - (1 << (width - drop)) - (1 << (width - 2 - drop)), (), self.dtype))
        return Arith((part.reshape(shape),))

    async def _below(self, x: Array, width: int) -> Bits:
        """A part of a bit, for |x| < 2^(k-2): 1 where |x| < 2^(k-1-width), 0 where it is not below the double of that,
        either in between.

        With x = c - a, c and -a the parts, and both without their low bits: whether c is a, a + 1 or a - 1. In digits,
        whether all of them are equal.
        """
        number, other = ring.shr(x, self.k - 1 - width), ring.shr(ring.neg(x), self.k - 1 - width)
        own = Bits.from_ring(number, width)
        if width <= costs.WORD:
            (found,) = await self._near(own, Bits.from_ring(other, width), width, (1,), 0)
            return Bits(found, x.shape)
        one = full(1, (), x.dtype)
        others = [Bits.from_ring(y, width) for y in (other, ring.add(other, one), ring.sub(other, one))]
        equal = await self._near(own, Bits.stack_planes(others), costs.DIGIT, (0,), 0)
        count, digits, words = equal.shape
        word = Bits(equal.reshape(count * digits, words), x.shape)
        every = await self._near(word, ~word, digits, (0,), 0)
        return Bits(np.bitwise_xor.reduce(every[0], axis=0, keepdims=True), x.shape)

    async def _near(self, number: Bits, others: Bits, digit: int, bounds: tuple[int, ...], top: int) -> Array:
        """Parts of bits, as planes (results, digits, words). One party's number c meets the numbers a of the other,
        whose planes are those of one after the other: for each a and each digit of so many bits, [|c - a| < 2^m] for
        each bound m, and the highest bits of c - a, with a sign and mod 2^digit.

        Of the first half of the elements party 1 has c, of the others party 0.
        """
        p, n, width, peer = self.party, number.size, number.width, 1 - self.party.rank
        low, count = costs.halves(n)[0], others.width // width
        results = count * (len(bounds) + top)
        if n == 0:
            return np.zeros((results, -(-width // digit), 0), np.uint64)
        first, last = slice(0, low), slice(low, n)
        mine, theirs = (last, first) if p.rank == 0 else (first, last)
        asked, answered = mine.stop - mine.start, theirs.stop - theirs.start
        pair, found = self._pair(peer), dict[int, Array]()
        with messages_of(peer):
            if asked:
                into = await pair.chosen(p, words_of(number, mine), asked)
            if answered:
                out = await pair.followed(p, width * answered)
                cost_ns = NEAR_NS * width * answered
                found[theirs.start], message = await p.compute(
                    out.near, words_of(others, theirs), answered, digit, list(bounds), top, cost_ns=cost_ns
                )
                p.send(peer, message)
            if asked:
                answer: bytes = await p.recv(peer, ot.near_bytes(asked, width, digit, results))
                found[mine.start] = await p.compute(
                    into.near, asked, width, digit, count, list(bounds), top, answer, cost_ns=NEAR_NS * width * asked
                )
        return np.concatenate([found[start] for start in sorted(found)], axis=2)


def _factors(angle: Array, s: Sum, first: bool) -> Array:
    """This party's factors of a sum's products, signed integers mod 2^64: of each frequency one with each factor of the
    other party, as (products, elements)."""
    turns = angle.view(np.int64) * (2 * math.pi / 2.0**64)
    rows = np.empty((2 * len(s.gains), angle.size), np.int64)
    ones, sines = np.cos(turns), np.sin(turns)
    cosine, sine = ones, sines
    for i, (gain, c, d) in enumerate(zip(s.gains, s.cos, s.sin, strict=True)):
        if i:
            cosine, sine = cosine * ones - sine * sines, sine * ones + cosine * sines
        if first:
            rows[2 * i], rows[2 * i + 1] = np.rint(gain * cosine), np.rint(gain * sine)
        else:
            rows[2 * i] = np.rint(c * cosine + d * sine)
            rows[2 * i + 1] = np.rint(d * cosine - c * sine)
    return rows.view(np.uint64)

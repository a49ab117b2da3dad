"""Bringing a number to [1/2, 1]: what the general reciprocal, roots and logarithm begin with."""

from __future__ import annotations

from ...runtime import cost, gather
from ..bits import Bits
from ..protocol import Arith, Bool, Protocol, full
from .leading import leading_one, repeat, stack

PLACE = "log2(min(l, k-3) + 2)"
"""Bits of the `place` that `normalised` returns, in formulas of costs."""


@cost(
    f"""
    a2b(w=min(l, k-3)) + leading_one(w=min(l, k-3) + 2) + two_to_the(w={PLACE}) + or_(w=1) + {PLACE} * or_(w=1)
    + mul() + trunc(d=k-3-q) + gather(mul_bit(), b2a(w=1))
    """
)
async def normalised(p: Protocol, x: Arith, bound: int | None, q: int) -> tuple[Arith, Arith, Bool, Bool, Bool]:
    """(m, c, place, found, negative) with |x| c = m 2^(k-3-q), 2^(q-1) <= m <= 2^q and c = 2^(k-1-place).

    `place` is 3 + the position of the highest one of |x| (of |x| - 1 if x < 0); found = [x != 0]. x = 0 counts as 1 in
    `place` and `c` and gives m = 2^(q-1). |x| < 2^(k-4).
    """
    width = min(bound or p.k, p.k - 3)
    bits = await p.a2b(x, width)
    negative = bits.bits_at(width - 1, width)
    body = p.xor(bits.bits_at(0, width - 1), repeat(negative, width - 1))
    # The lowest bit does not matter for the highest place, except that it must be there.
    padding = p.public_bits(Bits.from_ring(full(0b1000, x.shape, x.dtype), 4))
    place, _ = await leading_one(p, stack([padding, body.bits_at(1, width - 1)]))
    c = p.shl(await two_to_the(p, p.not_(place)), p.k - 2**place.width)
    found = await _nonzero(p, place, await p.or_(body.bits_at(0, 1), negative))
    m = await p.trunc(await p.mul(x, c), p.k - 3 - q)
    flipped, missing = await gather(p.mul_bit(negative, m), p.b2a(p.not_(found)))
    m = p.add(p.sub(m, p.shl(flipped, 1)), p.shl(missing, q - 1))
    return m, c, place, found, negative


async def _nonzero(p: Protocol, place: Bool, rest: Bool) -> Bool:
    """Whether `place` is not 3, or `rest`."""
    differ = p.xor_public(place, Bits.from_ring(full(3, place.shape, p.dtype), place.width))
    for i in range(place.width):
        rest = await p.or_(rest, differ.bits_at(i, i + 1))
    return rest


@cost("b2a(w=1) + (w-1) * mul_bit()")
async def two_to_the(p: Protocol, word: Bool) -> Arith:
    """2^word, a product over the bits of the word; word < k - 1."""
    power = p.add_public(await p.b2a(word.bits_at(0, 1)), 1)
    for i in range(1, word.width):
        power = p.add(power, await p.mul_bit(word.bits_at(i, i + 1), p.mul_public(power, 2 ** (2**i) - 1)))
    return power


@cost("(terms-1) * mul_trunc(d=q)")
async def polynomial(p: Protocol, x: Arith, coefficients: tuple[float, ...], q: int) -> Arith:
    """sum of coefficients[i] x^i, all with q fraction bits, by Horner's rule."""
    value = p.add_public(p.mul_public(x, 0), round(coefficients[-1] * 2**q))
    for c in reversed(coefficients[:-1]):
        value = p.add_public(await p.mul_trunc(value, x, q), round(c * 2**q))
    return value

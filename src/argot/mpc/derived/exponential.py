"""The exponential: whole powers of two bit by bit, the fraction by a polynomial."""

from __future__ import annotations

import math

from ...runtime import gather
from ..protocol import Arith, Protocol
from .dispatch import derived
from .mantissa import polynomial, two_to_the

# 2^((1 + t) / 2) for t in [-1, 1], error 2.7e-9.
POWERS = (1.4142135623, 0.4901290902, 0.0849328979, 0.009811685, 0.0008501214, 5.92221e-05, 3.4184e-06)


@derived
async def exp(
    p: Protocol, x: Arith, bound: int | None = None, low: float | None = None, high: float | None = None
) -> Arith:
    """e^x, between 0 and the largest number that can be encoded.

    `low` and `high` promise low <= x <= high and save a comparison each. |x| < 2^(k-3).
    """
    f = p.fraction_bits
    largest = (1 << (p.k - f - 2)) - 1
    bottom, top = -(f + 1), math.log2(largest) - f  # of x log2(e)
    limit = [math.floor(edge * math.log(2) * 2**f) for edge in (bottom, top)]
    # The difference from a limit may be wider than x.
    widths = [None if bound is None else max(bound, abs(edge).bit_length() + 1) + 1 for edge in limit]
    under, over = await gather(
        p.msb(p.add_public(x, -limit[0]), widths[0]), p.msb(p.add_public(p.neg(x), limit[1]), widths[1])
    )
    raised, lowered = await gather(
        p.mul_bit(under, p.add_public(p.neg(x), limit[0])), p.mul_bit(over, p.add_public(p.neg(x), limit[1]))
    )
    x = p.add(x, p.add(raised, lowered))
    # From here 0 <= y = x log2(e) - bottom < 2^whole, with q fraction bits.
    whole = math.ceil(math.log2(top - bottom + 1))
    digits = p.k - 3 - (math.ceil(top) - bottom)
    q = max(min(p.k - f - 10, 28), digits)
    y = p.mul_public(x, round(math.log2(math.e) * 2**q))
    y = p.add_public(await p.trunc(y, f), -bottom << q)
    bits = await p.a2b(y, q + whole)
    integer = bits.bits_at(q, q + whole)
    number, power = await gather(p.b2a(integer), two_to_the(p, integer))
    t = p.add_public(p.shl(p.sub(y, p.shl(number, q)), 1), -1 << q)
    fraction = await polynomial(p, t, POWERS, q)
    # fraction * power * 2^bottom * 2^f / 2^digits, and bottom + f = -1.
    result = await p.mul_trunc(await p.trunc(fraction, q - digits), power, digits + 1)
    result = p.sub(result, await p.mul_bit(under, result))
    excess = p.add_public(p.neg(result), largest)
    return p.add(result, await p.mul_bit(over, excess))

"""Reciprocal and quotient: normalise the divisor, then Newton's iteration."""

from __future__ import annotations

from ..protocol import Arith, Bool, Protocol
from .dispatch import derived
from .mantissa import normalised

STEPS = 3
"""Newton steps: the first guess is off by at most 1/17, and each step squares that."""


@derived
async def reciprocal(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """1/x for x of any sign; 0 counts as the smallest positive number, so that 1/0 = 2^f."""
    f = p.fraction_bits
    guard = 2 if p.k > 32 else 1
    q = min(p.k - 4 - 2 * f - guard, 40)
    inverse, c, negative = await _inverse(p, x, bound, q)
    scale = await p.trunc(c, p.k - 3 - 2 * f - guard)
    result = await p.mul_trunc(inverse, scale, q + guard)
    return p.sub(result, p.shl(await p.mul_bit(negative, result), 1))


@derived
async def divide(p: Protocol, x: Arith, y: Arith, bound: int | None = None, bound_x: int | None = None) -> Arith:
    """x / y for y of any sign, |x / y| < 2^(k-2-2f); y = 0 counts as the smallest positive number.

    `bound` is that of y. x must be encodable, or below 2^(bound_x-1). The larger one of y and of the quotient, the less
    exact: use a protocol's own division where it has one.
    """
    f = p.fraction_bits
    # More digits than f, and the iteration or the quotient times 2^room would leave the ring.
    room = min(p.k - 3 - (bound_x or p.k - f - 1), f)
    inverse, c, negative = await _inverse(p, y, bound, room)
    scale = await p.trunc(c, p.k - 3 - f - room)
    product = await p.mul_trunc(x, inverse, room)
    result = await p.mul_trunc(product, scale, room)
    return p.sub(result, p.shl(await p.mul_bit(negative, result), 1))


async def _inverse(p: Protocol, x: Arith, bound: int | None, q: int) -> tuple[Arith, Arith, Bool]:
    """(1/m with q fraction bits, c, [x < 0]) for |x| c = m 2^(k-3)."""
    m, c, _, _, negative = await normalised(p, x, bound, q)
    w = p.add_public(p.neg(await p.mul_public_trunc(m, round(32 / 17 * 2**q), q)), round(48 / 17 * 2**q))
    for _ in range(STEPS):
        error = p.add_public(p.neg(await p.mul_trunc(m, w, q)), 1 << q)
        w = p.add(w, await p.mul_trunc(w, error, q))
    return w, c, negative

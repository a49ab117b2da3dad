"""Reciprocal and quotient: normalise the divisor, then Newton's iteration."""

from __future__ import annotations

from ...runtime import cost
from ..protocol import Arith, Bool, Protocol
from .compare import mirrored
from .dispatch import derived
from .mantissa import normalised

START = (420 / 99, -576 / 99, 256 / 99)
"""1/m = START[0] + START[1] m + START[2] m^2 in [1/2, 1], off by at most 1/99: m times it is 1 + T3(4m - 3) / 99."""

INVERSE = "normalised() + mul_public_trunc(d=q) + mul_trunc(d=q) + 2 * _steps(q) * mul_trunc(d=q)"


def _steps(q: int) -> int:
    """Newton steps for q fraction bits: each squares the error, to 2^-26.5 and 2^-53."""
    return 2 if q <= 26 else 3


def _guard(k: int) -> int:
    return 2 if k > 32 else 1


def _digits(k: int, f: int) -> int:
    """Fraction bits of the inverse mantissa of a reciprocal. Products of two must not leave the ring."""
    return min(k - 4 - 2 * f - _guard(k), k // 2 - 4, 40)


def _room(k: int, f: int, bound_x: int) -> int:
    """The same of a quotient. With more than f the iteration or the quotient times 2^room would leave the ring."""
    return min(k - 3 - bound_x, f)


@derived(
    """
    _inverse(q=_digits(k, f)) + trunc(d=k-3-2*f-_guard(k)) + mul_trunc(d=_digits(k, f) + _guard(k)) + mul_bit()
    """
)
async def reciprocal(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """1/x for x of any sign; 0 counts as the smallest positive number, so that 1/0 = 2^f."""
    f = p.fraction_bits
    guard, q = _guard(p.k), _digits(p.k, f)
    inverse, c, negative = await _inverse(p, x, bound, q)
    scale = await p.trunc(c, p.k - 3 - 2 * f - guard)
    result = await p.mul_trunc(inverse, scale, q + guard)
    return await mirrored(p, result, negative)


ROOM = "_room(k, f, given(bound_x, k-f-1))"


@derived(f"_inverse(q={ROOM}) + trunc(d=k-3-f-{ROOM}) + 2 * mul_trunc(d={ROOM}) + mul_bit()")
async def divide(p: Protocol, x: Arith, y: Arith, bound: int | None = None, bound_x: int | None = None) -> Arith:
    """x / y for y of any sign, |x / y| < 2^(k-2-2f); y = 0 counts as the smallest positive number.

    `bound` is that of y. x must be encodable, or below 2^(bound_x-1). The larger one of y and of the quotient, the less
    exact: use a protocol's own division where it has one.
    """
    f = p.fraction_bits
    room = _room(p.k, f, bound_x or p.k - f - 1)
    inverse, c, negative = await _inverse(p, y, bound, room)
    scale = await p.trunc(c, p.k - 3 - f - room)
    product = await p.mul_trunc(x, inverse, room)
    result = await p.mul_trunc(product, scale, room)
    return await mirrored(p, result, negative)


@cost(INVERSE)
async def _inverse(p: Protocol, x: Arith, bound: int | None, q: int) -> tuple[Arith, Arith, Bool]:
    """(1/m with q fraction bits, c, [x < 0]) for |x| c = m 2^(k-3)."""
    m, c, _, _, negative = await normalised(p, x, bound, q)
    c0, c1, c2 = (round(c * 2**q) for c in START)
    slope = p.add_public(await p.mul_public_trunc(m, c2, q), c1)
    w = p.add_public(await p.mul_trunc(slope, m, q), c0)
    for _ in range(_steps(q)):
        error = p.add_public(p.neg(await p.mul_trunc(m, w, q)), 1 << q)
        w = p.add(w, await p.mul_trunc(w, error, q))
    return w, c, negative

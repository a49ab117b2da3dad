"""The exponential: whole powers of two bit by bit, the fraction by a polynomial."""

from __future__ import annotations

import math

from ...runtime import gather
from ..protocol import Arith, Protocol
from .dispatch import derived
from .mantissa import polynomial, two_to_the

# 2^((1 + t) / 2) for t in [-1, 1], error 2.7e-9, and 1.1e-12 for wide rings (benchmarks/fit_series.py).
POWERS = (1.4142135623, 0.4901290902, 0.0849328979, 0.009811685, 0.0008501214, 5.92221e-05, 3.4184e-06)
WIDE_POWERS = (
    1.4142135623731,
    0.49012907172436,
    0.0849328960442,
    0.0098118330372847,
    0.00085013054998552,
    5.8926083133112e-05,
    3.4037052469293e-06,
    1.691541197113e-07,
    7.3274334377871e-09,
)


def _powers(k: int) -> tuple[float, ...]:
    return WIDE_POWERS if k > 64 else POWERS


def _terms(k: int) -> int:
    return len(_powers(k))


def _edges(k: int, f: int) -> tuple[int, float]:
    """Between which x log2(e) has a result that can be encoded."""
    return -(f + 1), math.log2((1 << (k - f - 2)) - 1) - f


def _limits(k: int, f: int) -> list[int]:
    """The same for x, in steps of the grid."""
    return [math.floor(edge * math.log(2) * 2**f) for edge in _edges(k, f)]


def _width(k: int, f: int, bound: int, which: int) -> int:
    """The bound of the difference from a limit, which may be wider than x."""
    return max(bound, abs(_limits(k, f)[which]).bit_length() + 1) + 1


def _whole(k: int, f: int) -> int:
    """Bits of the whole part of x log2(e) above its least."""
    bottom, top = _edges(k, f)
    return math.ceil(math.log2(top - bottom + 1))


def _digits(k: int, f: int) -> int:
    """Fraction bits of the power of the fraction: times the whole power it must not leave the ring."""
    bottom, top = _edges(k, f)
    return k - 3 - (math.ceil(top) - bottom)


def _finer(k: int, f: int) -> int:
    """Fraction bits of what that power is computed from."""
    return max(min(k - f - 10, 28), _digits(k, f))


W, D, Q = "_whole(k, f)", "_digits(k, f)", "_finer(k, f)"


@derived(
    f"""
    gather(msb(l=_width(k, f, l, 0)), msb(l=_width(k, f, l, 1))) + gather(mul_bit(), mul_bit())
    + trunc(d=f) + a2b(w={Q} + {W}) + gather(b2a(w={W}), two_to_the(w={W})) + polynomial(terms=_terms(k), q={Q})
    + trunc(d={Q} - {D}) + mul_trunc(d={D} + 1) + mul_bit() + mul_bit()
    """
)
async def exp(
    p: Protocol, x: Arith, bound: int | None = None, low: float | None = None, high: float | None = None
) -> Arith:
    """e^x, between 0 and the largest number that can be encoded.

    `low` and `high` promise low <= x <= high and save a comparison each. |x| < 2^(k-3).
    """
    f = p.fraction_bits
    largest = (1 << (p.k - f - 2)) - 1
    bottom, _ = _edges(p.k, f)  # of x log2(e)
    limit = _limits(p.k, f)
    # The difference from a limit may be wider than x.
    widths = [None if bound is None else _width(p.k, f, bound, which) for which in (0, 1)]
    under, over = await gather(
        p.msb(p.add_public(x, -limit[0]), widths[0]), p.msb(p.add_public(p.neg(x), limit[1]), widths[1])
    )
    raised, lowered = await gather(
        p.mul_bit(under, p.add_public(p.neg(x), limit[0])), p.mul_bit(over, p.add_public(p.neg(x), limit[1]))
    )
    x = p.add(x, p.add(raised, lowered))
    # From here 0 <= y = x log2(e) - bottom < 2^whole, with q fraction bits.
    whole, digits, q = _whole(p.k, f), _digits(p.k, f), _finer(p.k, f)
    y = p.mul_public(x, round(math.log2(math.e) * 2**q))
    y = p.add_public(await p.trunc(y, f), -bottom << q)
    bits = await p.a2b(y, q + whole)
    integer = bits.bits_at(q, q + whole)
    number, power = await gather(p.b2a(integer), two_to_the(p, integer))
    t = p.add_public(p.shl(p.sub(y, p.shl(number, q)), 1), -1 << q)
    fraction = await polynomial(p, t, _powers(p.k), q)
    # fraction * power * 2^bottom * 2^f / 2^digits, and bottom + f = -1.
    result = await p.mul_trunc(await p.trunc(fraction, q - digits), power, digits + 1)
    result = p.sub(result, await p.mul_bit(under, result))
    excess = p.add_public(p.neg(result), largest)
    return p.add(result, await p.mul_bit(over, excess))

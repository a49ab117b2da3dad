"""Square root and its inverse: a polynomial of the mantissa and one Newton step, then half the exponent."""

from __future__ import annotations

import math

from ...runtime import gather
from ..protocol import Arith, Bool, Protocol
from .dispatch import derived
from .mantissa import PLACE, normalised, polynomial, two_to_the

# 1 / sqrt((3 + t) / 4) for t in [-1, 1], error 1.6e-5; a Newton step leaves 4e-10.
COEFFICIENTS = (1.1547138687, -0.1924648438, 0.0478772002, -0.0132490927, 0.0045016806, -0.0013906079)

# Error 2.2e-6; a Newton step leaves 8e-12 (benchmarks/fit_series.py).
WIDE_COEFFICIENTS = (
    1.1546998371048,
    -0.19246484634864,
    0.048129768757189,
    -0.013249082126494,
    0.0038281638329654,
    -0.0013906167275863,
    0.00044901150391734,
)


def _coefficients(k: int) -> tuple[float, ...]:
    return WIDE_COEFFICIENTS if k > 64 else COEFFICIENTS


def _terms(k: int) -> int:
    return len(_coefficients(k))


INVERSE = """
normalised(q=_digits(k)) + polynomial(terms=_terms(k), q=_digits(k)) + square_trunc(d=_digits(k))
+ mul_trunc(d=_digits(k)) + mul_trunc(d=_digits(k)+1) + and_(w=1)
"""
SHIFTED = f"gather(mul_public_trunc(d=_digits(k)) + select(), two_to_the(w={PLACE} - 1))"


@derived(f"{INVERSE} + mul_trunc(d=_digits(k)) + {SHIFTED} + mul_trunc(d=_digits(k) - (f-2)//2) + mul_bit()")
async def sqrt(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """sqrt x, 0 for x <= 0. |x| < 2^(k-4)."""
    f, q = p.fraction_bits, _digits(p.k)
    m, inverse, place, positive = await _inverse_root(p, x, bound, q)
    # sqrt(x 2^f) = sqrt(m) 2^((place - 2 + f) / 2)
    root, (half, parity) = await p.mul_trunc(m, inverse, q), _halved(place)
    root, power = await gather(_shifted(p, root, parity, f - 2, q), two_to_the(p, half))
    result = await p.mul_trunc(root, power, q - (f - 2) // 2)
    return await p.mul_bit(positive, result)


@derived(f"{INVERSE} + {SHIFTED} + mul_trunc(d=_digits(k) + 2**({PLACE}-1) - (3*f+3)//2) + select()")
async def rsqrt(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """1 / sqrt x; x <= 0 counts as the smallest positive number, so that it gives 2^(f/2). |x| < 2^(k-4)."""
    f, q = p.fraction_bits, _digits(p.k)
    _, inverse, place, positive = await _inverse_root(p, x, bound, q)
    # 2^(3f/2) / sqrt(x) = m^-1/2 2^((3f + 2 - place) / 2); 2 - place is 3 + ~place - 2^w
    half, parity = _halved(p.not_(place))
    root, power = await gather(_shifted(p, inverse, parity, 3 * f + 3, q), two_to_the(p, half))
    result = await p.mul_trunc(root, power, q + 2 ** (place.width - 1) - (3 * f + 3) // 2)
    lowest = p.public(p.constant(round(2 ** (1.5 * f)), x.shape))
    return await p.select(positive, result, lowest)


def _digits(k: int) -> int:
    """Fraction bits of a mantissa, so that it times a power up to 2^(k/2-1) stays below 2^(k-2)."""
    return k // 2 - 4


def _halved(word: Bool) -> tuple[Bool, Bool]:
    """(word // 2, word % 2)."""
    return word.bits_at(1, word.width), word.bits_at(0, 1)


async def _shifted(p: Protocol, x: Arith, parity: Bool, constant: int, q: int) -> Arith:
    """x 2^((parity + constant % 2) / 2)."""
    up = await p.mul_public_trunc(x, round(math.sqrt(2) * 2**q), q)
    return await (p.select(parity, p.shl(x, 1), up) if constant % 2 else p.select(parity, up, x))


async def _inverse_root(p: Protocol, x: Arith, bound: int | None, q: int) -> tuple[Arith, Arith, Bool, Bool]:
    """(m, 1 / sqrt m, place, [x > 0]) for |x| = m 2^(place - 2) grid steps."""
    m, _, place, found, negative = await normalised(p, x, bound, q)
    t = p.add_public(p.shl(m, 2), -3 << q)
    y = await polynomial(p, t, _coefficients(p.k), q)
    square = await p.square_trunc(y, q)
    correction = p.add_public(p.neg(await p.mul_trunc(m, square, q)), 3 << q)
    y = await p.mul_trunc(y, correction, q + 1)
    return m, y, place, await p.and_(found, p.not_(negative))

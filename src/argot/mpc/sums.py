"""Trigonometric sums and powers of two in fixed point: how they are scaled, and for which numbers they hold.

What `aby3_functions.py` and `additive_functions.py` have in common. Both get the value of a sum at a shared angle, each
product of a cosine or a sine by a coefficient formed from two rounded integers, and what is outside of its reach
otherwise.

An angle is a word that counts 2^-64 turns, so that a sum of words mod 2^64 is one of angles; an exponent is one that
counts 2^-57, so that a sum of exponents counts mod 128.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._core import approx, ring
from .derived import series
from .protocol import Array, full

U32, U64 = np.dtype(np.uint32), np.dtype(np.uint64)

WIDE = 56
"""Bits of the products of sums whose results are to be as fine as the grid."""

POINT = 29
"""Fraction bits of a step in Z_2^32."""


@dataclass(frozen=True)
class Sum:
    """A trigonometric sum at t = a + b, scaled by 2^s: factors of cos(ka) and sin(ka), of cos(kb) and sin(kb), and the
    constant, in Z_2^(8 bytes)."""

    gains: tuple[float, ...]
    cos: tuple[float, ...]
    sin: tuple[float, ...]
    constant: int
    bytes: int


@lru_cache
def scaled(s: series.Series, scale: int, width: int, constant: float | None = None) -> Sum:
    """Both factors of a product are rounded to integers of like size, which keeps the sum of the errors small."""
    sizes = [math.hypot(c, d) for c, d in zip(s.cos, s.sin, strict=True)]
    gains = tuple(math.sqrt(size * 2.0**scale) for size in sizes)
    rest = [2.0**scale / gain for gain in gains]
    constant = s.constant if constant is None else constant
    return Sum(
        gains,
        tuple(c * r for c, r in zip(s.cos, rest, strict=True)),
        tuple(d * r for d, r in zip(s.sin, rest, strict=True)),
        round(constant * 2**scale) % 2**width,
        width // 8,
    )


# ---- odd steps about 1/2, and waves ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """2^d g(x) - d for a g that goes from 0 to 1, a sum of sines about 1/2 within |x| <= reach (in eighths)."""

    series: series.Series
    eighths: int
    period: float
    doubling: int


STEPS = {
    "sigmoid": Step(series.SIGMOID, round(8 * series.SIGMOID_REACH), series.SIGMOID_PERIOD, 0),
    "tanh": Step(series.TANH, round(8 * series.TANH_REACH), series.TANH_PERIOD, 1),
    "erf": Step(series.ERF, round(8 * series.ERF_REACH), series.ERF_PERIOD, 1),
}

WAVES = {"sin": series.Series(0.0, (0.0,), (1.0,), 0.0), "cos": series.Series(0.0, (1.0,), (0.0,), 0.0)}


def step_bytes(f: int) -> int:
    """Bytes of the products of sines and cosines.

    Both factors of a product of size s are rounded: in 2^-p each has about p/2 digits, and the results are off by up to
    sqrt(2 s) 2^(-p/2) for each harmonic. In four bytes p is 29, which is enough for small grids; in five p is 37.
    """
    return 4 if f <= 12 else 5


def step_sum(s: Step, f: int) -> Sum:
    """With finer digits than `POINT` where there are bytes for them: see `coarser`."""
    size = step_bytes(f)
    return scaled(s.series, POINT + 8 * size - 32, 8 * size)


def coarser(addend: Array, f: int) -> Array:
    """Addends of a step in Z_2^32, less 0 or 1 in the last place for each but one, from those of `step_sum`: a wrap of
    the sum remains one."""
    coarse: Array = ring.shr(addend, 8 * step_bytes(f) - 32)
    return coarse


def end(f: int, eighths: int) -> int:
    """Where a sum ends, in steps of the grid."""
    return round(eighths / 8 * 2**f)


def within(f: int, bound: int, eighths: int) -> bool:
    """Whether x is within the reach of a sum."""
    return 1 << (bound - 1) <= end(f, eighths)


# ---- exp -------------------------------------------------------------------------------------------------------------


def largest(k: int, f: int) -> int:
    """The largest number that can be encoded."""
    return (1 << (k - f - 2)) - 1


def floor_of_exp(f: int) -> int:
    """e^(2 - this) is about half a step."""
    return math.floor((f + 1) * math.log(2)) + 2


def ceiling_of_exp(k: int, f: int) -> float:
    """The logarithm of the largest number that can be encoded."""
    return math.log(largest(k, f)) - f * math.log(2)


def cut_low(f: int, width: int, low: float) -> bool:
    """Whether an x of these limits can be too small for the power of two.

    The whole parts of both addends of y = x log2(e) sum to floor(y) or floor(y) - 1; with the shift of the power that
    must not be negative, as it would count mod 128.
    """
    reach = (64 + f - 2 * approx.POWER_BITS - 1.01) * math.log(2)
    return max(-(2.0 ** (width - 1 - f)), low) < -reach


def cut_high(k: int, f: int, width: int, high: float) -> bool:
    """Whether it can be too large."""
    return min(2.0 ** (width - 1 - f), high) > ceiling_of_exp(k, f)


# ---- angles ----------------------------------------------------------------------------------------------------------


def circle(addend: Array, turns: float, f: int) -> Array:
    """An addend of `turns` times the number of which this is one with f fraction bits, as a word of 2^-64 turns."""
    factor = round(turns * 2.0 ** (8 * addend.dtype.itemsize - f))
    return word(ring.mul(addend, full(factor, (), addend.dtype)))


def word(addend: Array) -> Array:
    """Addends mod 2^k as addends mod 2^64 of the value times 2^(64-k)."""
    wide: Array = addend if addend.dtype == U64 else ring.shl(ring.cast(addend, U64), 64 - 8 * addend.dtype.itemsize)
    return wide


def shortened(words: Array, width: int) -> Array:
    """The highest 32 bits of 64-bit words, or all."""
    high: Array = words if width == 64 else ring.cast(ring.shr(words, 64 - width), U32)
    return high


def low_bits(words: Array, width: int) -> Array:
    """64-bit words mod 2^width."""
    low: Array = words if width == 64 else ring.and_(words, full(2**width - 1, words.shape, U64))
    return low

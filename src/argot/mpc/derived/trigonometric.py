"""Sine and cosine: the angle as a word that counts 2^-k turns, so that whole turns vanish by themselves."""

from __future__ import annotations

from ..protocol import Arith, Protocol
from .compare import mirrored
from .dispatch import derived
from .mantissa import polynomial

# 2/pi, 192 bits after the point.
TWO_OVER_PI = 0xA2F9836E4E441529FC2757D1F534DDC0DB6295993C439041

# cos(pi/2 u) as a polynomial in u^2 for u in [-1, 1]: Taylor's, (-1)^i (pi/2)^(2i) / (2i)!, error 5.3e-13.
COSINE = (
    1.0,
    -1.2337005501361697,
    0.25366950790104797,
    -0.020863480763352958,
    0.0009192602748394262,
    -2.520204237306059e-05,
    4.710874778818169e-07,
    -6.386603083791834e-09,
    6.565963114979459e-11,
)


def _digits(k: int) -> int:
    """Fraction bits of the quarter of a turn: the product of two such numbers, below 2, must not leave the ring."""
    return k // 2 - 2


def turns(k: int, f: int) -> int:
    """Even, so that the lowest bit of an angle is 0: 2^k turns for a grid step of x, mod 2^k."""
    return ((TWO_OVER_PI << k >> (192 + f + 2)) + 1) & -2


WAVE = f"""
msb(l=k) + b2a(w=1) + trunc(d=k - 2 - _digits(k)) + square_trunc(d=_digits(k))
+ polynomial(terms={len(COSINE)}, q=_digits(k)) + trunc(d=max(_digits(k) - f, 0)) + mul_bit()
"""


async def _wave(p: Protocol, x: Arith, quarters: int) -> Arith:
    """sin(x + quarters * pi/2).

    With y the angle in turns and b its top bit, y = b/2 + y' and sin(2 pi y) = (1 - 2b) cos(2 pi (y' - 1/4)).
    """
    k, f, q = p.k, p.fraction_bits, _digits(p.k)
    y = p.add_public(p.mul_public(x, turns(k, f)), quarters << (k - 2))
    half = await p.msb(y)
    # y is even: y' - 1/4, moved up by the odd 2^-k turns, lies strictly between -1/4 and 1/4.
    z = p.add_public(p.sub(y, p.shl(await p.b2a(half), k - 1)), 1 - (1 << (k - 2)))
    u = await p.trunc(z, k - 2 - q)
    value = await polynomial(p, await p.square_trunc(u, q), COSINE, q)
    value = await p.trunc(value, q - f) if q >= f else p.shl(value, f - q)
    return await mirrored(p, value, half)


@derived(WAVE)
async def sin(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """sin x. The angle is right to |x| 2^(f-k) turns."""
    return await _wave(p, x, 0)


@derived(WAVE)
async def cos(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """cos x = sin(x + pi/2)."""
    return await _wave(p, x, 1)

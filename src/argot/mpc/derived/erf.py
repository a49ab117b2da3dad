"""The error function."""

from __future__ import annotations

from ..protocol import Arith, Protocol
from .compare import minimum, mirrored
from .dispatch import derived
from .divide import reciprocal
from .exponential import exp
from .mantissa import polynomial

# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: erf(x) = 1 - t P(t) e^(-x^2) for x >= 0 with
# t = 1 / (1 + p x); error 1.5e-7.
SLOPE = 0.3275911
TAIL = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)

REACH = 4
"""From here on 1 is right to 1.6e-8."""

LOW = -(REACH**2 + 1)
"""Below -x^2 for all |x| <= REACH."""


def _width(f: int, bound: int) -> int:
    """The bound of the difference of |x| and REACH."""
    return max(bound, f + 4)


@derived(
    f"""
    msb() + mul_bit() + minimum(l=_width(f, l)) + trunc(d=f)
    + reciprocal(l=k) + polynomial(terms={len(TAIL)}, q=f) + mul_trunc(d=f) + square_trunc(d=f)
    + exp(l=f+6, high=0, low={LOW}) + mul_trunc(d=f) + mul_bit()
    """
)
async def erf(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    f = p.fraction_bits
    one = 1 << f
    limit = None if bound is None else _width(f, bound)
    negative = await p.msb(x, bound)
    size = await minimum(p, await mirrored(p, x, negative), p.public(p.constant(REACH << f, x.shape)), limit)
    slope = await p.mul_public_trunc(size, round(SLOPE * one), f)
    t = await reciprocal(p, p.add_public(slope, one))
    tail = await p.mul_trunc(await polynomial(p, t, TAIL, f), t, f)
    bell = await exp(p, p.neg(await p.square_trunc(size, f)), f + 6, LOW, 0.0)
    value = p.add_public(p.neg(await p.mul_trunc(tail, bell, f)), one)
    return await mirrored(p, value, negative)

"""The error function."""

from __future__ import annotations

from dataclasses import dataclass

from ..protocol import Arith, Protocol
from .compare import minimum, mirrored
from .dispatch import derived
from .divide import reciprocal
from .exponential import exp
from .mantissa import polynomial


@dataclass(frozen=True)
class _Form:
    """erf(x) = 1 - t P(t) e^(-x^2) for 0 <= x <= reach, with t = 1 / (1 + slope x) and P's coefficients `tail`."""

    slope: float
    tail: tuple[float, ...]
    reach: int


# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: error 1.5e-7; from 4 on 1 is right to 1.6e-8.
NARROW = _Form(0.3275911, (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429), 4)

# The same form with four terms more (benchmarks/fit_series.py): error 4.1e-12; from 5 on 1 is right to 1.6e-12.
WIDE = _Form(
    0.275,
    (
        0.14400464855315,
        0.28823955876775,
        -0.55343982539719,
        2.2858559953532,
        -4.0492178250442,
        5.3762121022664,
        -4.1810853169342,
        2.048853534369,
        -0.35942287193794,
    ),
    5,
)


def _form(k: int) -> _Form:
    return WIDE if k > 64 else NARROW


def _low(k: int) -> int:
    """Below -x^2 for all |x| <= reach."""
    return -(_form(k).reach ** 2 + 1)


def _terms(k: int) -> int:
    return len(_form(k).tail)


def _width(f: int, bound: int) -> int:
    """The bound of the difference of |x| and the reach."""
    return max(bound, f + 4)


@derived(
    """
    msb() + mul_bit() + minimum(l=_width(f, l)) + trunc(d=f)
    + reciprocal(l=k) + polynomial(terms=_terms(k), q=f) + mul_trunc(d=f) + square_trunc(d=f)
    + exp(l=f+6, high=0, low=_low(k)) + mul_trunc(d=f) + mul_bit()
    """
)
async def erf(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""
    f, form = p.fraction_bits, _form(p.k)
    one = 1 << f
    limit = None if bound is None else _width(f, bound)
    negative = await p.msb(x, bound)
    size = await minimum(p, await mirrored(p, x, negative), p.public(p.constant(form.reach << f, x.shape)), limit)
    slope = await p.mul_public_trunc(size, round(form.slope * one), f)
    t = await reciprocal(p, p.add_public(slope, one))
    tail = await p.mul_trunc(await polynomial(p, t, form.tail, f), t, f)
    bell = await exp(p, p.neg(await p.square_trunc(size, f)), f + 6, _low(p.k), 0.0)
    value = p.add_public(p.neg(await p.mul_trunc(tail, bell, f)), one)
    return await mirrored(p, value, negative)

"""The natural logarithm: the place of the highest one, and a polynomial of the mantissa."""

from __future__ import annotations

import math

from ..protocol import Arith, Protocol
from .dispatch import derived
from .mantissa import PLACE, normalised, polynomial

# log((3 + t) / 4) for t in [-1, 1], error 3.4e-8, and 1.8e-11 for wide rings (benchmarks/fit_series.py).
COEFFICIENTS = (
    -0.2876820768,
    0.333333083,
    -0.0555553421,
    0.012348969,
    -0.0030881011,
    0.000811479,
    -0.0002240366,
    8.00299e-05,
    -2.40292e-05,
)
WIDE_COEFFICIENTS = (
    -0.28768207245726,
    0.3333333331164,
    -0.055555555093919,
    0.012345685028585,
    -0.003086426221024,
    0.00082299777354365,
    -0.00022858931364435,
    6.5480697334675e-05,
    -1.9139381620451e-05,
    5.3875333956058e-06,
    -1.5799537003702e-06,
    7.0611309669656e-07,
    -2.2785880711418e-07,
)


def _coefficients(k: int) -> tuple[float, ...]:
    return WIDE_COEFFICIENTS if k > 64 else COEFFICIENTS


def _terms(k: int) -> int:
    return len(_coefficients(k))


def _digits(k: int) -> int:
    """Fraction bits of a mantissa and of ln 2, which is multiplied by up to k."""
    return 48 if k > 64 else min((k - 4) // 2, 28)


@derived(
    f"""
    normalised(q=_digits(k)) + polynomial(terms=_terms(k), q=_digits(k)) + b2a(w={PLACE})
    + trunc(d=max(_digits(k) - f, 0)) + and_(w=1) + select()
    """
)
async def log(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """log x; x <= 0 counts as the smallest positive number, so that it gives -f ln 2. |x| < 2^(k-4)."""
    f = p.fraction_bits
    q = _digits(p.k)
    m, _, place, found, negative = await normalised(p, x, bound, q)
    t = p.add_public(p.shl(m, 2), -3 << q)
    mantissa = await polynomial(p, t, _coefficients(p.k), q)
    # x = m 2^(place - 2) grid steps
    whole = p.mul_public(await p.b2a(place), round(math.log(2) * 2**q))
    value = p.add_public(p.add(mantissa, whole), -round((2 + f) * math.log(2) * 2**q))
    value = await p.trunc(value, q - f) if q > f else p.shl(value, f - q)
    positive = await p.and_(found, p.not_(negative))
    lowest = p.public(p.constant(round(-f * math.log(2) * 2**f), x.shape))
    return await p.select(positive, value, lowest)

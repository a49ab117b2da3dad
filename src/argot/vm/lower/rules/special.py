"""Special functions, by the approximations that suit fixed point: few digits before the point, 18 behind it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial.chebyshev import chebinterpolate, chebval

from ....errors import UnsupportedError
from ..builder import Array, Builder, Ref
from ..example import example, reals
from ..jax_adapter import in_64_bits, jax
from ..written import written


def _polynomial(x: Any, *coefficients: float) -> Any:
    """The polynomial with these coefficients, the highest power first (Horner)."""
    value = coefficients[0] * x + coefficients[1]
    for c in coefficients[2:]:
        value = value * x + c
    return value


# ln Gamma(x) and its derivative for x >= 8, the first terms of Stirling's series (DLMF 5.11.1 and 5.11.2): what is
# left out is below 2e-8. Smaller arguments are moved up by Gamma(x) = Gamma(x + 8) / (x (x + 1) ... (x + 7)) (DLMF
# 5.5.1), in parts each product of which fits beside the fraction.
_FAR = 8


def _lgamma(jnp: Any, x: Any) -> Any:
    near = x < _FAR
    y = jnp.where(near, x + _FAR, x)
    r = 1 / y
    far = (y - 0.5) * jnp.log(y) - y + 0.5 * math.log(2 * math.pi) + r * _polynomial(r * r, -1 / 360, 1 / 12)
    small = jnp.where(near, x, 1.0)
    s = small * (small + 7)  # (x + i) (x + 7 - i) = s + i (7 - i)
    steps = jnp.log(s) + jnp.log(s + 6) + jnp.log((s + 10) * (s + 12))
    return far - jnp.where(near, steps, 0.0)


@example(lambda J, x: J.lax.lgamma(x), reals(30, low=0.05, high=3), rtol=2e-4, atol=2e-4)
@example(lambda J, x: J.lax.lgamma(x), reals(30, low=3, high=2000), rtol=2e-4, atol=2e-4)
@example(lambda J, x: J.jax.scipy.special.betaln(x, x + 1), reals(9, low=0.5, high=30), rtol=2e-3, atol=2e-3)
def lgamma(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """The logarithm of the Gamma function, for x > 0."""
    return written(b, _lgamma, x)


def _digamma(jnp: Any, x: Any) -> Any:
    near = x < _FAR
    y = jnp.where(near, x + _FAR, x)
    r = 1 / y
    far = jnp.log(y) - 0.5 * r - r * r * _polynomial(r * r, 1 / 252, -1 / 120, 1 / 12)
    small = jnp.where(near, x, 1.0)
    # 1 / (x + i) + 1 / (x + 7 - i) = (2 x + 7) / (s + i (7 - i)); the first is apart, for it is large where x is small.
    s = small * (small + 7)
    steps = (2 * small + 7) * (1 / (s + 6) + 1 / (s + 10) + 1 / (s + 12)) + 1 / small + 1 / (small + 7)
    return far - jnp.where(near, steps, 0.0)


@example(lambda J, x: J.lax.digamma(x), reals(30, low=0.05, high=3), rtol=2e-4, atol=2e-4)
@example(lambda J, x: J.lax.digamma(x), reals(30, low=3, high=2000), rtol=2e-4, atol=2e-4)
@example(lambda J, x: J.jax.grad(lambda v: J.lax.lgamma(v).sum())(x), reals(9, low=0.5, high=30), rtol=1e-3, atol=1e-3)
def digamma(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """The derivative of `lgamma`, for x > 0."""
    return written(b, _digamma, x)


# M. Giles, Approximating the erfinv function (GPU Computing Gems, 2011), table 1: x times a polynomial in
# w = -ln(1 - x^2).
_CENTRE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941,
)  # fmt: skip
_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682,
)  # fmt: skip


def _erf_inv(jnp: Any, x: Any) -> Any:
    w = -jnp.log((1 - x) * (1 + x))
    tail = w >= 5
    centre = _polynomial(jnp.where(tail, 0.0, w - 2.5), *_CENTRE)
    ends = _polynomial(jnp.where(tail, jnp.sqrt(w) - 3, 0.0), *_TAIL)
    return x * jnp.where(tail, ends, centre)


@example(lambda J, x: J.lax.erf_inv(x), reals(40, low=-0.99, high=0.99), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.jax.scipy.special.erfinv(x), reals(9, low=0.9, high=0.999), rtol=5e-3, atol=5e-3)
def erf_inv(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """The inverse of erf, for -1 < x < 1. Near the ends the step of x is what limits it: 2e-3 at |x| = 0.999."""
    return written(b, _erf_inv, x)


# Abramowitz and Stegun 9.8.1 to 9.8.4: polynomials in t^2 for t = x / 3.75 below 1, in 1 / t beyond; errors below 3e-7.
_I0_NEAR = (0.0045813, 0.0360768, 0.2659732, 1.2067492, 3.0899424, 3.5156229, 1.0)
_I0_FAR = (
    0.00392377, -0.01647633, 0.02635537, -0.02057706, 0.00916281, -0.00157565, 0.00225319, 0.01328592, 0.39894228,
)  # fmt: skip
_I1_NEAR = (0.00032411, 0.00301532, 0.02658733, 0.15084934, 0.51498869, 0.87890594, 0.5)
_I1_FAR = (
    -0.00420059, 0.01787654, -0.02895312, 0.02282967, -0.01031555, 0.00163801, -0.00362018, -0.03988024, 0.39894228,
)  # fmt: skip


def _scaled_bessel(near: tuple[float, ...], far: tuple[float, ...]) -> Any:
    """e^-|x| times the modified Bessel function that these are of: where |x| < 3.75, there (order 1: / |x|), beyond."""

    def fn(jnp: Any, size: Any) -> tuple[Any, Any, Any]:
        close = size < 3.75
        t = jnp.where(close, size, 0.0) / 3.75
        inside = _polynomial(t * t, *near) * jnp.exp(jnp.where(close, -size, 0.0))
        far_off = jnp.where(close, 3.75, size)
        return close, inside, _polynomial(3.75 / far_off, *far) / jnp.sqrt(far_off)

    return fn


def _bessel_i0e(jnp: Any, x: Any) -> Any:
    close, inside, outside = _scaled_bessel(_I0_NEAR, _I0_FAR)(jnp, jnp.abs(x))
    return jnp.where(close, inside, outside)


def _bessel_i1e(jnp: Any, x: Any) -> Any:
    size = jnp.abs(x)
    close, inside, outside = _scaled_bessel(_I1_NEAR, _I1_FAR)(jnp, size)
    value = jnp.where(close, size * inside, outside)
    return jnp.where(x < 0, -value, value)


@example(lambda J, x: J.lax.bessel_i0e(x), reals(40, low=-60, high=60), atol=1e-4)
@example(lambda J, x: J.jnp.i0(x), reals(9, low=-4, high=4), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.jax.scipy.special.i0(x), reals(9, low=-6, high=6), rtol=1e-3, atol=1e-3)
def bessel_i0e(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """e^-|x| I0(x), the modified Bessel function of order 0."""
    return written(b, _bessel_i0e, x)


@example(lambda J, x: J.lax.bessel_i1e(x), reals(40, low=-60, high=60), atol=1e-4)
@example(lambda J, x: J.jax.scipy.special.i1e(x), reals(9, low=-4, high=4), atol=1e-4)
def bessel_i1e(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """e^-|x| I1(x), the modified Bessel function of order 1."""
    return written(b, _bessel_i1e, x)


# ---- distribution functions with constant parameters ----------------------------------------------------------------

# A Chebyshev series that is found when the program is made. In these variables, sqrt(x) and asin(sqrt(x)), the
# distributions have nearly the same width whatever the parameters, and halves and whole numbers for parameters make the
# functions analytic.
MOST_TERMS = 48
_TAIL_OF = 2.0**-20  # what is left out at either end of the range, and of the series


def _series(f: Callable[[Array], Array], end: float) -> tuple[float, float, Array]:
    """low, high, and the Chebyshev coefficients there of a function that rises from 0 to 1 on [0, end]."""
    t = np.linspace(0, end, 5000)
    values = f(t)
    low = t[max(int(np.argmax(values > _TAIL_OF)) - 1, 0)]
    high = t[-1] if values[-1] <= 1 - _TAIL_OF else t[int(np.argmax(values > 1 - _TAIL_OF))]
    middle, half = (low + high) / 2, (high - low) / 2
    c: Array = chebinterpolate(lambda u: f(middle + half * u), MOST_TERMS - 1)
    c = c[: 1 + int(np.flatnonzero(abs(c) > _TAIL_OF)[-1])]
    u = np.linspace(-1, 1, 5000)
    if abs(chebval(u, c) - f(middle + half * u)).max() > 1e-4:
        raise UnsupportedError(
            "a distribution function of these parameters", wanted="parameters from 0.5 up", todo="take larger ones"
        )
    return float(low), float(high), c


def _chebyshev(jnp: Any, t: Any, low: float, high: float, c: Array) -> Any:
    """The series at t, moved into [low, high]: T_(k+j) = 2 T_k T_j - T_(k-j), so it is log2 of the terms deep."""
    u = (jnp.clip(t, low, high) - (low + high) / 2) * (2 / (high - low))
    terms = jnp.stack([jnp.ones_like(u), u])
    while len(terms) < len(c):
        k = len(terms) - 1
        terms = jnp.concatenate([terms, 2 * (terms[k] * terms[1:]) - terms[k - 1 :: -1]])
    return c[0] + jnp.tensordot(c[1:], terms[1 : len(c)], 1)


def _parameter(b: Builder, x: Ref, name: str) -> float:
    value = x.uniform
    if value is None or not value > 0:
        raise UnsupportedError(
            f"a parameter {name} that is not one positive constant",
            wanted="a Python number: the approximation is found when the program is made",
            todo="call the function once for each parameter",
            where=b.where or None,
        )
    return float(value)


def _igamma(b: Builder, a: Ref, x: Ref) -> Callable[[Any, Any], Any]:
    shape = _parameter(b, a, "a")
    exact = jax().scipy.special.gammainc
    series = _series(lambda t: in_64_bits(exact, np.full(t.shape, shape), t * t), math.sqrt(shape) + 5)
    return lambda jnp, v: _chebyshev(jnp, jnp.sqrt(v), *series)


@example(lambda J, x: J.jax.scipy.special.gammainc(2.5, x), reals(30, low=0, high=20))
@example(lambda J, x: J.jax.scipy.special.gammainc(0.5, x), reals(30, low=0, high=2), atol=2e-3)
@example(lambda J, x: J.jax.scipy.special.gammainc(1.2, x), reals(30, low=0, high=4), atol=5e-4)
@example(lambda J, x: J.jax.scipy.stats.chi2.cdf(x, 200), reals(30, low=100, high=300), atol=5e-4)
def igamma(b: Builder, a: Ref, x: Ref, **_: Any) -> list[Ref]:
    """The regularized incomplete Gamma function P(a, x) for a constant a >= 0.5, by a series in sqrt(x)."""
    return written(b, _igamma(b, a, x), _whole(b, x, a))


@example(lambda J, x: J.jax.scipy.special.gammaincc(3.0, x), reals(30, low=0, high=20))
def igammac(b: Builder, a: Ref, x: Ref, **_: Any) -> list[Ref]:
    """Q(a, x) = 1 - P(a, x) for a constant a >= 0.5."""
    lower = _igamma(b, a, x)
    return written(b, lambda jnp, v: 1 - lower(jnp, v), _whole(b, x, a))


def _whole(b: Builder, x: Ref, *others: Ref) -> Ref:
    """x with the shape of the result."""
    shape = np.broadcast_shapes(x.type.shape, *(v.type.shape for v in others))
    return b.emit("broadcast", x, shape=shape, dims=tuple(range(len(shape) - len(x.type.shape), len(shape))))


@example(lambda J, x: J.jax.scipy.special.betainc(2.5, 1.5, x), reals(30, low=0, high=1), atol=5e-4)
@example(lambda J, x: J.jax.scipy.special.betainc(0.5, 0.5, x), reals(30, low=0.01, high=0.99), atol=5e-4)
@example(lambda J, x: J.jax.scipy.stats.beta.cdf(x, 40.0, 60.0), reals(30, low=0.2, high=0.7), atol=5e-4)
def regularized_incomplete_beta(b: Builder, p: Ref, q: Ref, x: Ref, **_: Any) -> list[Ref]:
    """The regularized incomplete Beta function I_x(a, b) for constants a, b >= 0.5, by a series in asin(sqrt(x))."""
    first, second = _parameter(b, p, "a"), _parameter(b, q, "b")
    exact = jax().scipy.special.betainc
    series = _series(
        lambda t: in_64_bits(exact, np.full(t.shape, first), np.full(t.shape, second), np.sin(t) ** 2), math.pi / 2
    )
    return written(
        b, lambda jnp, v: _chebyshev(jnp, jnp.arctan2(jnp.sqrt(v), jnp.sqrt(1 - v)), *series), _whole(b, x, p, q)
    )

"""Real functions of public values, bit for bit equal on all machines.

Every agent computes public values for itself, and shares are only right if all find the same ones. IEEE 754 fixes
+, -, *, / and sqrt; it does not fix exp or the order of a sum, and NumPy's depend on the CPU. Here everything is
made of those five in a fixed order. Errors are below 4 units in the last place of float64.

Where NumPy would give NaN, these give the limit or 0: fixed point has no NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..mpc.convolution import Convolution

Array = np.ndarray[Any, np.dtype[Any]]

# ln 2 in two parts: the first has 32 bits, so that k * _LN2_HIGH is exact for every exponent k.
_LN2_HIGH = 0.693147180369123816490
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF = 0.7071067811865476
_TWO_OVER_PI = 0.6366197723675814
_HALF_PI = (1.57079625129699707031, 7.54978941586159635335e-08, 5.39030285815811905290e-15)  # 24, 24 and 53 bits
_TWO_OVER_ROOT_PI = 1.1283791670955126
_WAVE_TERMS = 20  # r^20 / 20! < 2^-53 for |r| <= pi / 4
_ERF_TERMS = 170  # 72^n / (3 5 ... (2n+1)) < 2^-53 of the sum
_EXP_TERMS = 14  # r^14 / 14! < 2^-53 for |r| <= ln(2) / 2
_LOG_TERMS = 11  # s^23 / 23 < 2^-53 for |s| <= 0.1716


def exp(x: Array) -> Array:
    """e^x; 0 below -745, inf above 709.78."""
    with np.errstate(all="ignore"):
        x = np.clip(np.asarray(x, np.float64), -800.0, 800.0)
        k = np.rint(x / (_LN2_HIGH + _LN2_LOW))
        r = (x - k * _LN2_HIGH) - k * _LN2_LOW
        y = np.ones_like(r)
        for n in range(_EXP_TERMS, 0, -1):
            y = y * r / n + 1.0
        half = np.floor_divide(k, 2).astype(np.int64)
        return np.ldexp(np.ldexp(y, half), k.astype(np.int64) - half)


def expm1(x: Array) -> Array:
    """e^x - 1."""
    with np.errstate(all="ignore"):
        x = np.asarray(x, np.float64)
        y = np.ones_like(x)
        for n in range(_EXP_TERMS + 4, 1, -1):
            y = y * x / n + 1.0
        return np.where(np.abs(x) < 0.5, y * x, exp(x) - 1.0)


def log(x: Array) -> Array:
    """The natural logarithm; -inf at 0 and below."""
    with np.errstate(all="ignore"):
        x = np.asarray(x, np.float64)
        m, e = np.frexp(x)
        small = m < _SQRT_HALF
        m, e = np.where(small, m * 2.0, m), np.where(small, e - 1, e).astype(np.float64)
        s = (m - 1.0) / (m + 1.0)
        y = _atanh_series(s) + e * _LN2_LOW + e * _LN2_HIGH
        return np.where(x > 0, np.where(np.isinf(x), np.inf, y), -np.inf)


def log1p(x: Array) -> Array:
    """log(1 + x)."""
    with np.errstate(all="ignore"):
        x = np.asarray(x, np.float64)
        return np.where(np.abs(x) < 0.25, _atanh_series(x / (2.0 + x)), log(1.0 + x))


def _atanh_series(s: Array) -> Array:
    """2 atanh(s) for |s| <= 0.1716."""
    square = s * s
    y = np.zeros_like(s)
    for n in range(_LOG_TERMS, -1, -1):
        y = y * square + 1.0 / (2 * n + 1)
    return 2.0 * s * y


def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    e = exp(-np.abs(np.asarray(x, np.float64)))
    return np.where(np.asarray(x) >= 0, 1.0 / (1.0 + e), e / (1.0 + e))


def tanh(x: Array) -> Array:
    e = expm1(-2.0 * np.abs(np.asarray(x, np.float64)))
    return np.sign(x) * (-e / (e + 2.0))


def erf(x: Array) -> Array:
    """The error function: 2/sqrt(pi) e^(-x^2) times the sum of 2^n x^(2n+1) / (1 3 5 ... (2n+1)), of positive terms."""
    x = np.asarray(x, np.float64)
    size = np.minimum(np.abs(x), 6.0)  # 1 - erf(6) = 2e-17
    square = size * size
    y = np.ones_like(size)
    for n in range(_ERF_TERMS, 0, -1):
        y = y * (2.0 * square) / (2 * n + 1) + 1.0
    return np.sign(x) * np.minimum(_TWO_OVER_ROOT_PI * size * exp(-square) * y, 1.0)


def sin(x: Array) -> Array:
    """sin x; the angle loses a digit for every digit of x above 2^27."""
    return _wave(x, 0)


def cos(x: Array) -> Array:
    """cos x; as `sin`."""
    return _wave(x, 1)


def _wave(x: Array, quarters: int) -> Array:
    """sin(x + quarters pi / 2), from Taylor's series of the rest that a multiple of pi / 2 leaves."""
    with np.errstate(all="ignore"):
        x = np.asarray(x, np.float64)
        x = np.where(np.isfinite(x), x, 0.0)
        k = np.rint(x * _TWO_OVER_PI)
        r = ((x - k * _HALF_PI[0]) - k * _HALF_PI[1]) - k * _HALF_PI[2]
        square = r * r
        sine, cosine = np.ones_like(r), np.ones_like(r)
        for n in range(_WAVE_TERMS, 0, -2):
            sine = 1.0 - sine * square / (n * (n + 1))
            cosine = 1.0 - cosine * square / (n * (n - 1))
        turn = np.remainder(k + quarters, 4.0)
        value = np.where(np.remainder(turn, 2.0) == 0, r * sine, cosine)
        return np.where(turn >= 2, -value, value)


def power(x: Array, y: Array) -> Array:
    """x^y for x >= 0 or integer y; 0 where no real number fits."""
    with np.errstate(all="ignore"):
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        whole = np.rint(y)
        magnitude = exp(y * log(np.abs(x)))
        odd = np.remainder(whole, 2.0) == 1.0
        signed = np.where((x < 0) & odd, -magnitude, magnitude)
        signed = np.where((x < 0) & (whole != y), 0.0, signed)
        return np.where(y == 0, 1.0, np.where(x == 0, np.where(y > 0, 0.0, np.inf), signed))


def divide(x: Array, y: Array) -> Array:
    """x / y; 0 / 0 is 0."""
    with np.errstate(all="ignore"):
        return np.where((x == 0) & (y == 0), 0.0, np.divide(x, y))


def total(x: Array, axes: tuple[int, ...]) -> Array:
    """The sum over `axes`; floats in the order of a balanced tree."""
    if x.dtype != np.float64:
        return np.asarray(np.sum(x, axis=axes, dtype=x.dtype))
    keep = [a for a in range(x.ndim) if a not in axes]
    moved = np.transpose(x, [*axes, *keep]).reshape(-1, *(x.shape[a] for a in keep))
    with np.errstate(all="ignore"):
        while len(moved) > 1:
            half = len(moved) // 2
            rest = moved[2 * half :]
            moved = np.concatenate([moved[:half] + moved[half : 2 * half], rest])
    return moved[0] if len(moved) else np.zeros([x.shape[a] for a in keep])


def matmul(x: Array, y: Array) -> Array:
    """(..., m, k) @ (..., k, n); floats in the order of k."""
    if np.float64 not in (x.dtype, y.dtype):
        return np.matmul(x, y)
    out = np.zeros((*x.shape[:-1], y.shape[-1]))
    with np.errstate(all="ignore"):
        for i in range(x.shape[-1]):
            out = out + x[..., :, i, None] * y[..., i, None, :]
    return out


def convolve(x: Array, w: Array, stride: int) -> Array:
    """(batch, channels, height, width) by (kernels, channels, height, width); as `matmul`."""
    sizes = Convolution.of(x.shape, w.shape, stride)
    return sizes.result(matmul(sizes.patches(x), sizes.filters(w)))

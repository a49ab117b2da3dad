"""The same functions in the clear, correctly rounded and the same on every machine: for `Plain` and for tests."""

from __future__ import annotations

import numpy as np

from ..._core import approx
from ..protocol import RINGS, Array


def apply(name: str, x: Array, fraction_bits: int) -> Array:
    """exp, log, sigmoid, tanh, erf, sin, cos, reciprocal, sqrt or rsqrt of a fixed-point ring array."""
    return _array(approx.plain(name, _words(x), _bits(x), fraction_bits), x)


def divide(x: Array, y: Array, fraction_bits: int) -> Array:
    """x / y of fixed-point ring arrays of equal shape."""
    return _array(approx.plain_divide(_words(x), _words(y), _bits(x), fraction_bits), x)


def _bits(x: Array) -> int:
    return x.dtype.itemsize * 8


def _words(x: Array) -> Array:
    flat = np.ascontiguousarray(x).reshape(-1)
    return flat.astype(np.uint64) if x.dtype == RINGS[32] else flat.view(np.uint64)


def _array(words: Array, like: Array) -> Array:
    flat = words.astype(np.uint32) if like.dtype == RINGS[32] else words.view(like.dtype)
    return flat.reshape(like.shape)

"""Largest, smallest, their positions, absolute value, sign and clamp: exact, on ABY3 and in the clear."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpc_worlds import ints, run, words

from argot.mpc import derived
from argot.mpc.aby3 import Aby3
from argot.mpc.bits import Bits
from argot.mpc.derived.leading import leading_one
from argot.mpc.plain import Plain

PROTOCOLS = [Aby3, Plain]


def shared(function: Any, *values: np.ndarray, protocol: Any = Aby3, k: int = 64) -> np.ndarray:
    result = run(function, *(words(v, k, np.shape(v)) for v in values), k=k, protocol=protocol)
    return np.array(ints(result), dtype=object).reshape(result.shape).astype(np.int64)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 8, 13, 65])
def test_extremes_and_their_positions(protocol, n):
    """Few different values, so that ties are frequent: the first wins."""
    x = np.random.default_rng(n).integers(-3, 4, (3, n, 4)) * 2**40
    for axis in (0, 1, 2, -1):
        for name in ("max", "min", "argmax", "argmin"):
            got = shared(lambda p, v, name=name, axis=axis: getattr(derived, name)(p, v, axis), x, protocol=protocol)
            np.testing.assert_array_equal(got, getattr(np, name)(x, axis=axis))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(-(2**30), 2**30), min_size=1, max_size=40))
def test_extremes_of_any_row(values):
    x = np.array(values)
    assert shared(lambda p, v: derived.argmax(p, v, 0, 33), x) == np.argmax(x)
    assert shared(lambda p, v: derived.min(p, v, 0, 33), x) == np.min(x)


@pytest.mark.parametrize("k", [32, 128])
def test_other_rings(k):
    x = np.array([[5, -(2 ** (k - 3)), 7, 2 ** (k - 3)], [1, 1, 0, 0]], dtype=object)
    assert ints(run(lambda p, v: derived.argmax(p, v, 1), words(x, k, x.shape), k=k)) == [3, 0]
    assert ints(run(lambda p, v: derived.min(p, v, 1), words(x, k, x.shape), k=k)) == [-(2 ** (k - 3)), 0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("shape", [(), (0,), (5, 13), (65,)])
def test_signs(protocol, shape):
    x = np.random.default_rng(2).integers(-(2**61), 2**61, shape)
    if x.size > 4:
        x.reshape(-1)[:3] = [0, 1, -1]
    np.testing.assert_array_equal(shared(lambda p, v: derived.abs(p, v), x, protocol=protocol), np.abs(x))
    np.testing.assert_array_equal(shared(lambda p, v: derived.sign(p, v), x, protocol=protocol), np.sign(x) * 2**18)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_between_two(protocol):
    rng = np.random.default_rng(3)
    x, y = rng.integers(-50, 50, (2, 200))
    assert (shared(lambda p, a, b: derived.maximum(p, a, b, 8), x, y, protocol=protocol) == np.maximum(x, y)).all()
    assert (shared(lambda p, a, b: derived.minimum(p, a, b), x, y, protocol=protocol) == np.minimum(x, y)).all()
    low, high = (np.array(v, np.int64).view(np.uint64) for v in (-20, 31))
    got = shared(lambda p, a: derived.clamp(p, a, low, high, 9), x, protocol=protocol)
    assert (got == np.clip(x, -20, 31)).all()


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 31, 63, 64])
def test_highest_one(width):
    rng = np.random.default_rng(width)
    values = [0, 1, 2**width - 1, 2 ** (width - 1)] + [
        int(rng.integers(2**62)) >> int(rng.integers(62)) for _ in range(80)
    ]
    values = [v % 2**width for v in values]
    word = Bits.from_ring(words(values, 64), width)
    place, found = run(lambda p, b: leading_one(p, b), word)
    assert found.to_bool().tolist() == [v > 0 for v in values]
    got = place.to_ring(np.uint64).tolist() if place.width else [0] * len(values)
    assert got == [max(v.bit_length() - 1, 0) for v in values]

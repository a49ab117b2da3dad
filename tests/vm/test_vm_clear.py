"""Real functions in the clear: right to the last places, and the same on every machine."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest

from argot.vm import clear

WIDE = np.concatenate([np.linspace(-700, 700, 20001), np.linspace(-1, 1, 20001)])
POSITIVE = np.concatenate([np.exp(np.linspace(-700, 700, 20001)), np.linspace(0.5, 2, 20001)])


@pytest.mark.parametrize(
    ("name", "reference", "points"),
    [
        ("exp", np.exp, WIDE),
        ("expm1", np.expm1, WIDE),
        ("log", np.log, POSITIVE),
        ("log1p", np.log1p, np.linspace(-0.9, 5, 20001)),
        ("tanh", np.tanh, WIDE),
        ("erf", np.vectorize(math.erf), np.linspace(-7, 7, 20001)),
        ("sin", np.sin, np.linspace(-1000, 1000, 20001)),
        ("cos", np.cos, np.linspace(-1000, 1000, 20001)),
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), WIDE[np.abs(WIDE) < 300]),
    ],
)
def test_accuracy(name, reference, points):
    np.testing.assert_allclose(getattr(clear, name)(points), reference(points), rtol=1e-14, atol=1e-15)


def test_limits_instead_of_nan():
    zero = np.array(0.0)
    assert clear.exp(np.array([-1e9, 1e9])).tolist() == [0.0, np.inf]
    assert clear.log(np.array([0.0, -1.0])).tolist() == [-np.inf, -np.inf]
    assert clear.divide(zero, zero) == 0 and clear.divide(np.array(1.0), zero) == np.inf
    powers = clear.power(np.array([-8.0, 0.0, -2.0, 7.0]), np.array([1 / 3, -1.0, 3.0, 0.0]))
    np.testing.assert_allclose(powers, [0.0, np.inf, -8.0, 1.0], rtol=1e-14)


def test_sums_do_not_depend_on_layout():
    x = np.random.default_rng(0).normal(size=(37, 41))
    assert clear.total(x, (0, 1)) == clear.total(np.asfortranarray(x), (0, 1))
    np.testing.assert_allclose(clear.total(x, (1,)), x.sum(1), atol=1e-12)
    np.testing.assert_allclose(clear.matmul(x, x.T), x @ x.T, atol=1e-12)


def test_the_same_bits_on_every_machine():
    """The digest was computed once; another one means that parties on different machines would disagree."""
    x = np.linspace(-30, 30, 4001)
    p = np.linspace(0.001, 50, 4001)
    parts = [clear.exp(x), clear.expm1(x), clear.log(p), clear.log1p(p), clear.sigmoid(x), clear.tanh(x),
             clear.erf(x), clear.sin(x), clear.cos(x),
             clear.power(p, x / 10), clear.total(p, (0,)), clear.matmul(x[None], p[:, None])]  # fmt: skip
    digest = hashlib.sha256(b"".join(np.asarray(part, "<f8").tobytes() for part in parts)).hexdigest()
    assert digest[:16] == "5a507e5223a50e03"

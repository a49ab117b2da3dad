"""Overflows are found before the run, where the user wrote them, and none where nothing overflows."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import private
from argot.vm.lower import PublicConstant, Spec, trace, within
from argot.vm.overflow import Overflow, overflows

HERE = Path(__file__).name


def found(function, *specs, k=64, f=18):
    """Operations that may overflow."""
    return [o.op for o in overflows(trace(function, list(specs)).program, k, f)]


def spec(*shape, low=None, high=None, dtype="float64", **rest):
    return Spec(shape, dtype, low=low, high=high, **rest)


def test_a_product_that_leaves_the_ring():
    program = trace(lambda x: x * x, [spec(3, low=-10_000, high=10_000)]).program
    (report,) = overflows(program, 64, 18)
    line = test_a_product_that_leaves_the_ring.__code__.co_firstlineno + 1
    assert report.where == f"{HERE}:{line}" and report.op in ("mul", "square")
    assert report.low == pytest.approx(0, abs=0.1) and report.high == pytest.approx(1e8, rel=1e-3)
    assert report.limit == 2.0**26 and not report.is_certain
    assert str(report).startswith(f"{HERE}:{line}: ") and "1e+08" in str(report) and "2^26" in str(report)
    assert "\n" not in str(report)
    assert overflows(program, 128, 40) == []


def test_what_is_reported_is_wrong_and_what_is_not_is_right():
    """At the limits of ABY3 itself, from both sides, for products and sums of products of each form."""
    rng = np.random.default_rng(0)
    for function, shape, most in (
        (lambda x: x * x, (50,), 2.0**13),
        (lambda x: x @ x, (16,), 2.0**11),
        (lambda x: x.reshape(4, 4) @ x.reshape(4, 4).T, (16,), 2.0**12),
        (lambda x: x.reshape(8, 8) @ x.reshape(8, 8).T, (64,), 2.0**11),
        (lambda x: x * 0.3, (20,), 2.0**26),
        (lambda x: x * 0.25, (20,), 2.0**44),
        (lambda x: x * 4 + x, (20,), 2.0**41),
    ):
        high = most * (1 - 2.0**-8)
        program = trace(function, [spec(*shape, low=-high, high=high)]).program
        assert [o for o in overflows(program, 64, 18) if o.op != "within"] == [], function
        x = np.clip(rng.uniform(-high, high, shape), -(2.0**25.9), 2.0**25.9)
        x[: shape[0] // 2] = np.clip(high, None, 2.0**25.9)
        wanted = np.asarray(function(x))
        (result,), _ = on_world(Aby3, program, [x])
        np.testing.assert_allclose(result, wanted, rtol=1e-4, atol=1.0)


def test_results_beyond_the_limit_are_wrong_indeed():
    """So the reports are of something: each is reported, and comes out wrong at the end of its interval."""
    for function, shape, value in (
        (lambda x: x * x, (5,), 2.0**13.7),
        (lambda x: x @ x, (16,), 2.0**11.7),
        (lambda x: x.reshape(8, 8) @ x.reshape(8, 8).T, (64,), 2.0**11.6),
        (lambda x: x.reshape(8, 8) @ x.reshape(8, 8).T, (64,), 2.0**11.2),
    ):
        program = trace(function, [spec(*shape, low=-value, high=value)]).program
        assert overflows(program, 64, 18)
        (result,), _ = on_world(Aby3, program, [np.full(shape, value)])
        assert not np.allclose(result, np.asarray(function(np.full(shape, value))), rtol=0.1)


def test_matrix_products_have_half_as_much_room():
    x, y = spec(8, 8, low=0, high=2**11), spec(8, 8, low=0, high=1.5)
    assert found(lambda x, y: x @ y, x, y) == []
    x = spec(8, 8, low=0, high=2**22)
    assert found(lambda x, y: x @ y, x, y) == ["matmul"]
    assert found(lambda x, y: x[:7] @ y, x, y) == []
    mine = spec(8, 8, low=0, high=2**22, visibility=private(0)), spec(8, 8, low=0, high=1.5, visibility=private(0))
    assert found(lambda x, y: x @ y, *mine) == []


def test_convolutions_have_the_room_of_their_matrices():
    """A row for each place, a column for each kernel."""

    def convolve(x, w):
        return jax.lax.conv(x, w, (1, 1), "VALID")

    w = spec(8, 1, 2, 2, low=0, high=1.5)
    x = {high: spec(1, 1, 4, 5, low=0, high=high) for high in (2**22, 2**23, 2**24)}
    assert found(convolve, x[2**22], w) == [] and found(convolve, x[2**23], w) == ["convolve"]
    few = spec(7, 1, 2, 2, low=0, high=1.5)
    assert found(convolve, x[2**23], few) == [] and found(convolve, x[2**24], few) == ["convolve"]
    assert found(lambda x: convolve(x, jnp.ones((8, 1, 2, 2))), x[2**24]) == []  # whole numbers
    assert found(lambda x: convolve(x, jnp.full((8, 1, 2, 2), 1.5)), x[2**24]) == ["convolve"]


def test_products_with_integers_and_public_numbers():
    x = spec(4, 4, low=0, high=2**25)
    assert found(lambda x: x @ jnp.eye(4), x) == []  # whole numbers need no truncation
    assert found(lambda x: x @ (jnp.eye(4) * 2000), x) == []
    assert found(lambda x: x @ (jnp.eye(4) * 2000.5), x) == ["matmul"]
    assert found(lambda x: x * 2000, x) == [] and found(lambda x: x * 2000.5, x) == ["mul"]
    large = PublicConstant(np.full((9, 9), 0.7))
    nine = spec(9, 9, low=0, high=2**25)
    assert found(lambda x, c: x * c, nine, large) == [] and found(lambda x, c: x @ c, nine, large) == ["matmul"]


def test_factors_below_one_apply_after_the_product():
    """`0.001 * (x @ y)` is a product of x and y first."""
    x = spec(100, low=-1000, high=1000)
    assert found(lambda x: 0.001 * (x @ x), x) == ["matmul"]
    assert found(lambda x: (x * 2**-11) @ x, x) == []


def test_sums_have_more_room():
    x = spec(1000, low=0, high=2**25)
    assert found(lambda x: x.sum(), x) == []
    assert found(lambda x: x.sum() * 2**10, x) == ["mul"]
    assert found(lambda x: jnp.cumsum(x) * 2**8, x) == []
    assert found(lambda x: x.sum(), x, k=32, f=8) == ["within"]  # the data itself cannot be encoded


def test_data_that_cannot_be_encoded():
    assert found(lambda x: x + 1, spec(3, low=0, high=1e9)) == ["within"]
    assert found(lambda x: x + 1, spec(3, low=0, high=1e9), k=128, f=40) == []
    assert found(lambda x: within(x + 1, 0, 1e9) - 1, spec(3)) == []  # a sum may be as large


def test_integers_have_the_width_of_the_ring():
    x = spec(3, dtype="int64", low=-(2**32), high=2**32)
    assert found(lambda x: x * x, x) == ["mul"] and found(lambda x: x * x, x, k=128, f=40) == []
    assert found(lambda x: x * 2**30, x) == []
    assert found(lambda x: x // 3, spec(3, dtype="int64", low=0, high=2**62.5)) == ["int_div"]
    assert found(lambda x: x < 5, spec(3, dtype="int64", low=-(2**63), high=2**63 - 1)) == []
    assert found(lambda x: x[0] < x[1], spec(3, dtype="int64", low=-(2**62.5), high=2**62.5)) == ["sub"]
    assert found(lambda x: x.astype(float), spec(3, dtype="int64", low=0, high=2**50)) == ["convert"]
    words = spec(3, dtype="uint64", low=0, high=2**64 - 1)
    assert found(lambda x: x * x, words) == []  # wraps as it does anywhere


def test_rounding_needs_numbers_that_can_be_encoded():
    x = spec(3, low=0, high=2**25)
    for function in (jnp.floor, jnp.round, lambda v: v.astype(int)):
        assert found(lambda v, g=function: g(v * 1.5), x) == []
        assert len(found(lambda v, g=function: g(v * 4), x)) == 1


def test_functions_that_saturate_are_not_reported():
    x = spec(3, low=30, high=40)
    assert found(jnp.exp, x) == []
    assert found(lambda x: jnp.exp(x) * 2, x) == []  # of what comes after nothing is known
    assert found(jax.nn.sigmoid, x) == [] and found(jnp.tanh, x) == []


def test_unknown_intervals_say_nothing():
    assert (
        found(lambda x, y: (x * x * y + x).sum() @ jnp.ones(()) if False else x * x * y, Spec((3,)), Spec((3,))) == []
    )
    assert found(lambda x: x * 1e6 * 1e6, spec(3, low=0)) == []


def test_each_overflow_is_reported_once():
    """Not what follows from it, and not in each round of a loop."""
    x = spec(3, low=0, high=2**20)
    assert len(found(lambda x: (x * x + 1) * (x * x) - x, x)) == 1
    assert found(lambda x: jax.lax.fori_loop(0, 9, lambda i, c: c + x * x, x), x) == ["mul"]
    loop = lambda x: jax.lax.fori_loop(0, 9, lambda i, c: jnp.tanh(c * 2**20) + c * 0, x)  # noqa: E731
    assert len(found(lambda x: loop(x) * 2**20 * 2**20, x)) <= 2
    branch = lambda x, n: jax.lax.cond(n > 0, lambda v: v * v, lambda v: v, x)  # noqa: E731
    assert len(found(lambda x, n: branch(x, n) * x, x, Spec((), "int64"))) >= 1


def test_sums_over_rounds_are_followed():
    x = spec(3, low=0, high=2**20)
    assert found(lambda x: jax.lax.fori_loop(0, 10, lambda i, c: c + x, jnp.zeros(3)) * 0.5, x) == []
    assert found(lambda x: jax.lax.fori_loop(0, 200, lambda i, c: c + x, jnp.zeros(3)) * 0.3, x) == ["mul"]


def test_certain_overflows_say_so():
    (report,) = overflows(trace(lambda x: x * x, [spec(3, low=20_000, high=30_000)]).program, 64, 18)
    assert report.is_certain and " is in " in str(report)
    assert str(Overflow("", "mul", -5.0, 5.0, 4.0)) == "mul may be in [-5, 5], beyond 2^2 = 4"


def test_whoever_computes_in_the_clear_is_not_bound():
    """Public values are float64."""
    n = Spec((3,), "float64", low=0, high=1e6, visibility=trace(lambda: jnp.zeros(3), []).program.results[0].visibility)
    assert found(lambda n: n * n, n) == []


def test_results_without_reports_are_right_in_each_ring():
    """A model's usual steps, near the limits of three rings."""
    x = np.random.default_rng(1).uniform(-1, 1, (40, 3))
    for k, f, size in ((32, 8, 4.0), (64, 18, 600.0), (128, 40, 5e5)):
        program = trace(
            lambda v: ((v - v.mean(0)) ** 2).mean(0) + jnp.abs(v).max(0), [spec(40, 3, low=-size, high=size)]
        ).program
        assert overflows(program, k, f) == []
        (result,) = on_plain(program, [x * size], ring=k, fraction_bits=f)
        wanted = x.var(0) * size**2 + np.abs(x).max(0) * size
        np.testing.assert_allclose(result, wanted, rtol=2e-2)

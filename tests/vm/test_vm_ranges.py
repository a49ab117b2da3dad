"""Intervals contain what happens; bounds are what follows from them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot.mpc.aby3 import Aby3
from argot.vm import ops, ranges
from argot.vm.conformance import on_plain, on_world
from argot.vm.interval import BIT, Interval
from argot.vm.interval_patterns import Known
from argot.vm.interval_rules import result
from argot.vm.ir import SECRET, Equation, TensorType, Var
from argot.vm.lower import Spec, trace, within

BOUNDED = ("add", "sub", "mul", "neg", "square", "exp", "sigmoid", "tanh", "select", "reduce_sum", "matmul", "concat")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_results_lie_in_their_interval(data):
    """For every operation with a rule: random operands in random intervals."""
    name = data.draw(st.sampled_from(BOUNDED))
    op, rng = ops.find(name), np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shapes = {"matmul": [(2, 3), (3, 2)], "select": [(4,)] * 3, "concat": [(4,)] * 2}.get(name)
    shapes = shapes or [(4,)] * (op.arity or 1)
    attrs = {"reduce_sum": {"axes": (0,)}, "concat": {"axis": 0}}.get(name, {n: None for n in op.attrs})
    intervals, arrays, types = [], [], []
    for place, shape in enumerate(shapes):
        a, b = sorted(data.draw(st.floats(-20, 20)) + 0.0 for _ in range(2))  # no -0.0, of which uniform makes an error
        intervals.append(Interval(a, b))
        arrays.append(rng.uniform(a, b, shape))
        types.append(TensorType("fixed", shape))
        if name == "select" and place == 0:
            intervals[0], arrays[0], types[0] = (
                BIT,
                rng.integers(0, 2, shape).astype(bool),
                TensorType("bool", shape),
            )
    out = Var(9, op.infer(*types, **attrs), SECRET)
    eqn = Equation(name, tuple(range(len(types))), (out,), attrs)
    found = result(eqn, intervals, types, Known(lambda i: None, intervals.__getitem__))
    values = op.clear(*arrays, **attrs)
    assert found.low <= values.min() and values.max() <= found.high


@given(st.floats(-1e15, 1e15), st.floats(-1e15, 1e15))
def test_bounds_hold(a, b):
    interval = Interval(min(a, b), max(a, b))
    bound = ranges.bound_of(interval)
    assert bound is not None and max(abs(a), abs(b)) < 2.0**bound


def bounds(fn, op, *specs):
    program = trace(fn, [Spec(s) if isinstance(s, tuple) else s for s in specs]).program
    return [e.attrs["bound"] for e in program.body.walk() if e.op == op]


def test_unknown_stays_unknown():
    assert bounds(lambda x: x < 1, "lt", (3,)) == [None]
    assert bounds(lambda x: jnp.exp(x * 0.5), "exp", (3,)) == [None]


def test_probabilities_are_compared_in_few_bits():
    assert bounds(lambda x: jax.nn.sigmoid(x) > 0.5, "lt", (3,)) == [0]
    assert bounds(lambda x, y: jnp.maximum(jnp.tanh(x), jnp.tanh(y)), "lt", (3,), (3,)) == [2]


def test_small_integers_and_booleans():
    assert bounds(lambda c: (c > 0.5).sum() > 3, "lt", (8,))[-1] == 3
    assert bounds(lambda x: jnp.argmax(x, 1) == 2, "eq", (8, 5)) == [2]


def test_softmax_knows_its_numerator():
    assert bounds(lambda x: jax.nn.softmax(x, axis=1), "reciprocal", (6, 10)) == [4]


def test_a_loop_that_stays_inside_keeps_its_range():
    def inside(x):
        return jax.lax.fori_loop(0, 9, lambda i, w: jnp.clip(w + x, -1, 1), jnp.zeros(3))

    assert bounds(lambda x: jnp.exp(inside(x)), "exp", (3,)) == [1]


@pytest.mark.parametrize("low", [-8.0, -1.0, 0.0])
def test_bounded_comparisons_are_right(low):
    x = np.linspace(low, low + 2, 33)
    program = trace(lambda v: within(v, low, low + 2) < low + 1, [Spec((33,))]).program
    np.testing.assert_array_equal(on_plain(program, [x])[0], x < low + 1)


@pytest.mark.parametrize(("ring", "fraction", "error"), [(32, 8, 8e-3), (64, 18, 4e-4), (128, 40, 1e-6)])
@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: jax.nn.sigmoid(within(x, -3, 3)),
        lambda x, y: jnp.tanh(within(x, -3, 3) * 0.1),
        lambda x, y: jnp.exp(within(x, -3, 3) * 0.1),
        lambda x, y: within(x, -3, 3) * 0.01 / y,
    ],
)
def test_functions_of_small_ranges_are_right_on_shares(function, ring, fraction, error):
    """Bounds below the limits that a function compares with, and numerators with digits to spare."""
    x, y = np.linspace(-3, 3, 25), np.linspace(1, 60, 25)
    program = trace(function, [Spec((25,)), Spec((25,))]).program
    (found, *_), _ = on_world(Aby3, program, [x, y], ring=ring, fraction_bits=fraction)
    np.testing.assert_allclose(found, function(x, y), rtol=0, atol=error)

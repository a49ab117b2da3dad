"""Intervals contain what happens; bounds are what follows from them."""

from __future__ import annotations

import functools
import time
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from argot.errors import ProgramError
from argot.mpc.aby3 import Aby3
from argot.vm import ops, ranges
from argot.vm.check import check
from argot.vm.conformance import on_plain, on_world
from argot.vm.interval import BIT, Interval
from argot.vm.interval_patterns import Known
from argot.vm.interval_rules import result
from argot.vm.ir import PUBLIC, SECRET, Equation, Program, TensorType, Var
from argot.vm.lower import Spec, trace, within
from argot.vm.overflow import overflows

BOUNDED = (
    "add",
    "sub",
    "mul",
    "neg",
    "square",
    "exp",
    "sigmoid",
    "tanh",
    "select",
    "reduce_sum",
    "matmul",
    "concat",
    "convolve",
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_results_lie_in_their_interval(data):
    """For every operation with a rule: random operands in random intervals."""
    name = data.draw(st.sampled_from(BOUNDED))
    op, rng = ops.find(name), np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    shapes = {"matmul": [(2, 3), (3, 2)], "select": [(4,)] * 3, "concat": [(4,)] * 2}
    shapes = (shapes | {"convolve": [(2, 2, 3, 4), (2, 2, 2, 3)]}).get(name)
    shapes = shapes or [(4,)] * (op.arity or 1)
    attrs = {"reduce_sum": {"axes": (0,)}, "concat": {"axis": 0}, "convolve": {"stride": 1}}
    attrs = attrs.get(name, {n: None for n in op.attrs})
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
    return bounds_of(trace(fn, [Spec(s) if isinstance(s, tuple) else s for s in specs]).program, op)


def bounds_of(program, op):
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


# ---- random programs ------------------------------------------------------------------------------------------------

UNARY = {
    "negated": lambda x: -x,
    "scaled": lambda x: x * 0.37,
    "shifted": lambda x: x - 1.7,
    "squared": lambda x: x * x,
    "abs": jnp.abs,
    "relu": jax.nn.relu,
    "clip": lambda x: jnp.clip(x, -0.9, 2.3),
    "sign": jnp.sign,
    "floor": jnp.floor,
    "round": jnp.round,
    "whole": lambda x: x.astype(int).astype(float),
    "exp": lambda x: jnp.exp(jnp.minimum(x, 3.0)),
    "log": jnp.log,
    "log1p": lambda x: jnp.log1p(jnp.abs(x)),
    "sqrt": jnp.sqrt,
    "rsqrt": lambda x: jax.lax.rsqrt(jnp.abs(x) + 0.3),
    "reciprocal": lambda x: 1 / (jnp.abs(x) + 0.4),
    "softplus": lambda x: jnp.logaddexp(0.0, x),
    "logistic": jax.grad(lambda x: jnp.logaddexp(0.0, x).sum()),
    "log of sum": jax.grad(lambda x: jnp.logaddexp(x, x[::-1]).sum()),
    "not above": lambda x: jnp.minimum(x, 0.0) - jnp.maximum(0.0, x),
    "divided": lambda x: x / (1 + x * x),
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "erf": jax.lax.erf,
    "sin": jnp.sin,
    "softmax": lambda x: jax.nn.softmax(x),
    "sorted": jnp.sort,
    "cumsum": jnp.cumsum,
    "cumprod": lambda x: jnp.cumprod(jnp.tanh(x)),
    "cummax": jax.lax.cummax,
    "centred": lambda x: x - x.mean(),
    "variance": lambda x: x * 0 + jnp.var(x),
    "deviation": lambda x: x / (jnp.std(x) + 0.25),
    "total": lambda x: jnp.full_like(x, x.sum()),
    "largest": lambda x: jnp.full_like(x, x.max()),
    "one hot": lambda x: jax.nn.one_hot(jnp.argmax(x), x.size),
    "reversed": lambda x: jnp.concatenate([x[::-2], x[::2]]),
    "updated": lambda x: x.at[1].set(0.5).at[0].add(x[2]),
    "grows": lambda x: jax.lax.fori_loop(0, 7, lambda i, c: c - 0.1 * jnp.tanh(c) + 0.01 * i, x),
    "decays": lambda x: jax.lax.fori_loop(0, 5, lambda i, c: 0.8 * c + 0.2 * jnp.sin(x), jnp.zeros(4)),
    "momentum": lambda x: jax.lax.fori_loop(
        0, 4, lambda i, c: (c[0] - 0.5 * c[1], 0.9 * c[1] + 0.1 * jnp.tanh(c[0])), (x, jnp.zeros(4))
    )[0],
    "nested": lambda x: jax.lax.fori_loop(
        0, 3, lambda i, c: jax.lax.fori_loop(0, 2, lambda j, d: jnp.maximum(d - 0.2, d.min()), c), x
    ),
    "scanned": lambda x: jax.lax.scan(lambda c, r: (c + r, c), 0.0, x)[1],
    "branches": lambda x: jax.lax.cond(x[0] > 0, lambda v: v + 1, lambda v: 2 - v, x),
}
BINARY = {
    "sum": jnp.add,
    "difference": jnp.subtract,
    "product": jnp.multiply,
    "larger": jnp.maximum,
    "smaller": jnp.minimum,
    "chosen": lambda x, y: jnp.where(x < y, x, y * 0.5),
    "kept": lambda x, y: jnp.where(x >= y, x - y, 0),
    "inner": lambda x, y: x * 0 + x @ y,
    "outer": lambda x, y: (x[:, None] * y[None, :]) @ (y * 0.3),
    "both": lambda x, y: jnp.where((x > 0) & (y < 1), y, x),
}


def of_all_values(program):
    """The program with every value of its body as a result, and their numbers."""
    numbers = [i for i, v in program.body.vars().items() if v.type.dtype != "order"]
    return Program(program.name, program.inputs, replace(program.body, results=tuple(numbers))), numbers


def check_intervals(program, arrays, run):
    """Every value of a program, as `run` computes it, lies in its interval."""
    everything, numbers = of_all_values(program)
    found = ranges.intervals(program)
    for i, values in zip(numbers, run(everything, arrays), strict=True):
        x = found[i]
        assert x.low <= values.min() and values.max() <= x.high, f"%{i} {x}: {values}\n{program}"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_values_of_random_programs_lie_in_their_intervals(data):
    steps = data.draw(st.lists(st.sampled_from([*UNARY, *BINARY]), min_size=1, max_size=6))
    places = [data.draw(st.tuples(st.integers(0, n + 1), st.integers(0, n + 1))) for n in range(len(steps))]
    limits = [sorted(data.draw(st.tuples(*2 * [st.floats(-6, 6)]))) for _ in range(2)]
    ring, fraction = data.draw(st.sampled_from([(64, 18), (32, 8), (128, 40)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))

    def function(*inputs):
        values = list(inputs)
        for name, (i, j) in zip(steps, places, strict=True):
            values.append(UNARY[name](values[i]) if name in UNARY else BINARY[name](values[i], values[j]))
        return values[-1]

    specs = [Spec((4,), low=low, high=high) for low, high in limits]
    program = trace(function, specs).program
    assume(not overflows(program, ring, fraction))
    arrays = [np.clip(rng.uniform(low - 1e-9, high + 1e-9, 4), low, high) for low, high in limits]
    check_intervals(program, arrays, lambda p, a: on_plain(p, a, ring=ring, fraction_bits=fraction))


@pytest.mark.parametrize("name", UNARY)
def test_values_on_shares_lie_in_their_intervals(name):
    x = np.array([-1.5, 0.004, 2.2, 0.9])
    program = trace(UNARY[name], [Spec((4,), low=-1.5, high=2.2)]).program
    for ring, fraction in ((64, 18), (32, 8)):
        if not overflows(program, ring, fraction):
            run = functools.partial(on_world, Aby3, ring=ring, fraction_bits=fraction)
            check_intervals(program, [x], lambda p, a, run=run: run(p, a)[0])


# ---- what is known of the usual ------------------------------------------------------------------------------------


def interval(function, *limits):
    """The interval of a function's result for inputs (6,) within limits."""
    program = trace(function, [Spec((6,), low=low, high=high) for low, high in limits]).program
    return ranges.intervals(program)[program.body.results[0]]


@pytest.mark.parametrize(
    ("function", "low", "high", "slack"),
    [
        (lambda x: jnp.maximum(x, 1.0), 1, 4, 0.0),
        (lambda x: jnp.minimum(x, 1.0), -2, 1, 0.0),
        (lambda x: jnp.maximum(x, -x * 0.5), -2, 4, 0.1),
        (lambda x: jnp.clip(x, -1, 1), -1, 1, 0.0),
        (jnp.abs, 0, 4, 0.02),
        (jax.nn.relu, 0, 4, 0.0),
        (lambda x: jnp.maximum(0.0, x), 0, 4, 0.0),
        (lambda x: jnp.minimum(x, 0.0), -2, 0, 0.0),
        (lambda x: jnp.minimum(0.0, x), -2, 0, 0.0),
        (jax.grad(lambda x: jnp.logaddexp(0.0, x).sum()), 0.0025, 1, 0.1),
        (lambda x: jnp.exp(x[:3] - jnp.logaddexp(x[:3], x[3:])), 0.00123, 1, 0.1),
        (lambda x: jnp.where(x > 1, x, 3), 1, 4, 0.0),
        (lambda x: jnp.where(x <= 1, x, 0), -2, 1, 0.0),
        (lambda x: x * x, 0, 16, 0.02),
        (jnp.square, 0, 16, 0.02),
        (lambda x: 1 / (jnp.abs(x) + 0.5), 2 / 9, 2, 0.1),
        (lambda x: jnp.sqrt(jnp.abs(x)), 0, 2, 0.1),
        (lambda x: jax.lax.rsqrt(jnp.abs(x) + 1), 5**-0.5, 1, 0.1),
        (lambda x: jnp.log(jnp.exp(x)), -2, 4, 0.2),
        (jnp.floor, -3, 4, 0.0),
        (jnp.round, -2, 4, 0.0),
        (lambda x: x.astype(int), -2, 4, 0.0),
        (lambda x: x.mean(), -2, 4, 0.02),
        (lambda x: x - x.mean(), -6, 6, 0.02),
        (jnp.var, 0, 36, 0.3),
        (jnp.std, 0, 6, 0.2),
        (jax.nn.softmax, 0, 1, 0.12),
        (jax.nn.sigmoid, 0.119, 0.982, 0.02),
        (lambda x: jnp.sort(x)[0], -2, 4, 0.0),
        (jnp.cumsum, -12, 24, 0.0),
        (lambda x: x.max(), -2, 4, 0.0),
        (lambda x: jax.nn.one_hot(jnp.argmax(x), 6), 0, 1, 0.0),
        (lambda x: x @ x, 0, 96, 0.1),
        (lambda x: jnp.outer(x, x) @ x, -192, 384, 1.0),
        (lambda x: jnp.prod(jnp.tanh(x)), -1, 1, 0.21),
        (lambda x: jax.lax.fori_loop(0, 10, lambda i, c: c + jnp.sin(x), jnp.zeros(6)), -10, 10, 0.2),
        (lambda x: jax.lax.fori_loop(0, 10, lambda i, c: c + i, 0), 0, 90, 10.0),
        (lambda x: jax.lax.scan(lambda c, r: (c + r, None), 0.0, x)[0], -12, 24, 0.0),
        (lambda x: jax.lax.fori_loop(0, 99, lambda i, c: jnp.where(x > 0, c + 1, c), jnp.zeros(6)), 0, 99, 0.0),
    ],
)  # fmt: skip
def test_intervals_of_the_usual(function, low, high, slack):
    """Sharp, up to `slack`, which is what roundings may add; for -2 <= x <= 4."""
    found = interval(function, (-2, 4))
    assert low - slack <= found.low <= low + 1e-3 and high - 1e-3 <= found.high <= high + slack


def test_a_training_loop_is_bounded():
    """Steps of logistic regression are bounded, as sigmoid is; so weights are after a known number of rounds."""

    def train(x, y):
        def step(i, w):
            return w - 0.5 * x.T @ (jax.nn.sigmoid(x @ w) - y) / 8

        return jax.lax.fori_loop(0, 20, step, jnp.zeros(3))

    program = trace(train, [Spec((8, 3), low=-1, high=1), Spec((8,), low=0, high=1)]).program
    found = ranges.intervals(program)[program.body.results[0]]
    assert 10 <= found.high <= 11 and found.low == -found.high
    assert all(b is not None for b in bounds_of(program, "sigmoid"))


def test_a_training_loop_with_a_penalty_is_bounded():
    """What a round adds grows with the weights themselves, but slowly."""

    def train(x, y):
        def loss(w):
            z = x @ w
            return jnp.mean(jnp.logaddexp(0.0, z) - y * z) + 0.01 * jnp.sum(w * w)

        return jax.lax.fori_loop(0, 100, lambda i, w: w - 0.1 * jax.grad(loss)(w), jnp.zeros(3))

    program = trace(train, [Spec((8, 3), low=-4, high=4), Spec((8,), low=0, high=1)]).program
    found = ranges.intervals(program)[program.body.results[0]]
    assert 40 < found.high < 200


def test_what_a_round_adds_without_bound_is_unknown():
    for body in (lambda i, c: c + c, lambda i, c: c + 0.1 * c, lambda i, c: c * c + 1):
        found = interval(lambda x, body=body: jax.lax.fori_loop(0, 10, body, x), (-2, 4))
        assert found.high == np.inf


def test_a_while_loop_knows_what_its_rounds_keep():
    def halve(x, n):
        return jax.lax.while_loop(lambda c: c[0] < n, lambda c: (c[0] + 1, c[1] * 0.5), (0, x))[1]

    program = trace(halve, [Spec((3,), low=-1, high=1), Spec((), "int64", PUBLIC)]).program
    found = ranges.intervals(program)[program.body.results[0]]
    assert found.low >= -2 and found.high <= 2


def test_deep_loops_are_walked_once():
    """A program of loops within loops must not keep an agent busy: each level would multiply the attempts."""

    def deep(x, level):
        if level == 0:
            return x * x + 1
        return jax.lax.fori_loop(0, 2, lambda i, c: deep(c, level - 1), x)

    start = time.monotonic()
    trace(lambda x: deep(x, 12), [Spec((), low=0, high=1)])
    assert time.monotonic() - start < 10


def test_public_integers_that_wrap_say_nothing():
    """Neither sums over rounds, nor comparisons of differences."""

    def summed(n, x):
        return jax.lax.fori_loop(0, 4, lambda i, c: c + jnp.int32(2**30), jnp.int32(0)) * n + 0 * x.sum()

    n = Spec((), "int32", PUBLIC)
    program = trace(lambda n, x: (n - n + summed(n, x)) * 1.0 + x, [n, Spec((3,), low=0, high=1)]).program
    check_intervals(program, [np.int32(1), np.ones(3)], on_plain)

    def below(n, m, x):
        return jnp.where(n - m < 0, n, 0) * 1.0 + x

    inputs = [Spec((), "uint8", PUBLIC, low=0, high=5), Spec((), "uint8", PUBLIC), Spec((), low=0, high=1)]
    program = trace(below, inputs).program
    check_intervals(program, [np.uint8(3), np.uint8(200), 0.5], on_plain)


def test_numbers_that_are_cut_off_lie_in_their_intervals():
    for function in (lambda x: jnp.exp(x) - 1, lambda x: x + 1e9, lambda x: jnp.where(x > 31, 1e9, -jnp.inf) * 2):
        program = trace(function, [Spec((3,), low=30, high=33)]).program
        for ring, fraction in ((64, 18), (32, 8), (128, 40)):
            run = functools.partial(on_plain, ring=ring, fraction_bits=fraction)
            check_intervals(program, [np.array([30.0, 32, 33])], run)


def test_what_patience_ends_is_unknown(monkeypatch):
    """Driver and agents give up at the same place, so that what one writes the others prove."""
    function = lambda x: jax.lax.fori_loop(0, 9, lambda i, c: c + jnp.tanh(x), jnp.zeros(3))  # noqa: E731
    assert bounds(lambda x: jnp.exp(function(x)), "exp", (3,)) == [4]
    monkeypatch.setattr(ranges, "PATIENCE", 0)
    assert bounds(lambda x: jnp.exp(function(x)), "exp", (3,)) == [None]


# ---- agents ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.exp(jax.lax.fori_loop(0, 9, lambda i, c: c + jnp.tanh(x), jnp.zeros(3))),
        lambda x: jnp.abs(x) < 1.5,
        lambda x: jnp.maximum(x, 0.25) < 1.5,
        lambda x: jax.nn.softmax(x) < 0.5,
        jnp.sort,
    ],
)
def test_agents_refuse_narrower_promises(function):
    """Every promise is accepted as it is proved, and wider, and refused if it is narrower by one."""
    program = trace(function, [Spec((3,), low=-2, high=2)]).program
    check(program)
    made = [e for e in program.body.equations if isinstance(e.attrs.get("bound"), int | tuple)]
    assert made
    for eqn in made:
        check(changed(program, eqn, moved(eqn.attrs["bound"], 1)))
        if not isinstance(eqn.attrs["bound"], tuple):
            check(changed(program, eqn, None))
        with pytest.raises(ProgramError, match="which is proved"):
            check(changed(program, eqn, moved(eqn.attrs["bound"], -1)))


def moved(bound, by):
    """A bound, or one for each key of an order, wider or narrower."""
    return tuple(b + by for b in bound) if isinstance(bound, tuple) else bound + by


def changed(program, eqn, bound):
    """The program with another promise of one equation."""
    equations = tuple(replace(e, attrs={**e.attrs, "bound": bound}) if e is eqn else e for e in program.body.equations)
    return Program(program.name, program.inputs, replace(program.body, equations=equations))


def test_agents_refuse_a_promise_that_more_rounds_break():
    """The proof of a loop's carries counts its rounds: the same program with more of them proves less."""

    def summed(n):
        return trace(
            lambda x: jnp.exp(jax.lax.fori_loop(0, n, lambda i, c: c + jnp.tanh(x), jnp.zeros(3))), [Spec((3,))]
        ).program

    program = summed(9)
    loop = next(e for e in program.body.equations if e.op == "loop")
    longer = replace(loop, attrs={**loop.attrs, "length": 90})
    equations = tuple(longer if e is loop else e for e in program.body.equations)
    with pytest.raises(ProgramError, match="which is proved"):
        check(Program(program.name, program.inputs, replace(program.body, equations=equations)))

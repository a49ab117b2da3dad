"""`argot.order`: rows follow secret orders and come back; shuffles are uniform, and nobody knows them."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import argot
from argot.errors import ArgotError, InputError, ProgramError, UnsupportedError
from argot.mpc.aby3 import Aby3
from argot.vm.check import check, load
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import SECRET
from argot.vm.lower import Spec, follow, trace
from argot.vm.parser import parse

RNG = np.random.default_rng(12)


def everywhere(fn, arrays):
    """Leaves of fn's result in plain JAX, under jit, by the reference, and on shares."""
    program = trace(fn, [Spec(a.shape, a.dtype.name) for a in arrays]).program
    with jax.enable_x64(True):
        for how in (fn, jax.jit(fn)):
            yield [np.asarray(x) for x in jax.tree.leaves(how(*map(jnp.asarray, arrays)))]
    yield on_plain(program, arrays)
    yield on_world(Aby3, program, arrays)[0]


@pytest.mark.parametrize("n", [0, 1, 2, 37])
def test_arrays_follow_and_come_back(n):
    """Of several dtypes and shapes, by two keys with ties, against NumPy."""
    keys = RNG.integers(-2, 2, n), RNG.integers(0, 2, n).astype(bool)
    x, i, b = RNG.integers(-99, 99, (n, 2)) / 4, RNG.integers(-9, 9, n), RNG.random((n, 2, 2)) < 0.5

    def fn(first, second, *rows):
        order = argot.order.by(first, second)
        return *order.apply(*rows, rows[1] > 0), *order.undo(*rows), *order.undo(*order.apply(*rows))

    found = np.lexsort((keys[1], keys[0]))
    back = np.argsort(found)
    wanted = [x[found], i[found], b[found], i[found] > 0, x[back], i[back], b[back], x, i, b]
    for results in everywhere(fn, [*keys, x, i, b]):
        for a, c in zip(results, wanted, strict=True):
            np.testing.assert_array_equal(a, c)


@pytest.mark.parametrize("n", [0, 1, 50])
def test_a_shuffle_moves_rows_alike(n):
    x, i, b = np.arange(2.0 * n).reshape(n, 2), np.arange(n), np.arange(n) % 3 == 0

    def fn(*rows):
        return argot.order.shuffle(*rows)

    for mixed, numbers, flags in everywhere(fn, [x, i, b]):
        assert sorted(numbers) == list(range(n))
        np.testing.assert_array_equal(mixed, x[numbers])
        np.testing.assert_array_equal(flags, b[numbers])


def test_shuffles_are_uniform_and_new_each_time():
    def fn():
        return [argot.order.shuffle(jnp.arange(3)) for _ in range(200)]

    rows = on_world(Aby3, trace(fn, []).program, [])[0]
    counts = [sum(tuple(row) == p for row in rows) for p in itertools.permutations(range(3))]
    assert sum(counts) == 200 and stats.chisquare(counts).pvalue > 1e-6


def test_a_shuffle_in_a_loop_is_new_in_each_round():
    def fn():
        return jax.lax.scan(lambda c, _: (c, argot.order.shuffle(jnp.arange(30))), 0, None, length=3)[1]

    rows = on_world(Aby3, trace(fn, []).program, [])[0][0]
    assert len({tuple(row) for row in rows}) == 3


def test_a_random_order_comes_back():
    def fn(x):
        order = argot.order.random(20)
        return order.undo(order.apply(x)), order.apply(order.undo(x))

    x = RNG.normal(size=20)
    for results in everywhere(fn, [np.round(x * 8) / 8]):
        for found in results:
            np.testing.assert_array_equal(found, np.round(x * 8) / 8)


def test_several_arrays_of_one_dtype_follow_at_one_price():
    """One more costs what its words do, 4 of them for each, and no round."""
    n = 64

    def cost(arrays, fn):
        program = trace(fn, [Spec((n,), "int64")] + [Spec((n,))] * arrays).program
        world = on_world(Aby3, program, [np.arange(n)] + [np.zeros(n)] * arrays)[1]
        return world.rounds, world.bits

    def followed(k, *rows):
        return argot.order.by(k).rows(rows)

    def shared(k, *rows):  # what sharing and revealing take alone
        return [x + k for x in rows]

    (rounds, one), (more, three) = cost(1, followed), cost(3, followed)
    assert rounds == more
    assert (three - one) - (cost(3, shared)[1] - cost(1, shared)[1]) == 2 * n * 4 * 64


def test_programs_with_random_orders_are_data():
    program = trace(lambda x: argot.order.shuffle(x), [Spec((4,))]).program
    assert parse(str(program)) == program and load(program.to_bytes()).hash() == program.hash()
    assert program.body.vars()[program.body.results[0]].visibility == SECRET
    with pytest.raises(ProgramError, match="secret"):
        check(parse(str(program).replace("order[4] secret = random_order", "order[4] public = random_order")))


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: argot.order.by(x)._index + 1,
        lambda x: argot.order.by(x)._index,
        lambda x: follow(x, x),
        lambda x: jax.lax.scan(lambda c, _: (argot.order.by(x).apply(c), 0), x, None, length=2)[0] + follow(x, x),
    ],
)
def test_an_order_is_no_array_and_no_array_is_an_order(fn):
    with pytest.raises((ProgramError, UnsupportedError)):
        trace(fn, [Spec((5,), "int64")])


def test_what_is_refused():
    for wrong in (
        lambda: argot.order.by(),
        lambda: argot.order.by(np.zeros((2, 2))),
        lambda: argot.order.by(np.zeros(2), np.zeros(3)),
        lambda: argot.order.shuffle(np.zeros(3), np.zeros(4)),
        lambda: argot.order.shuffle(np.zeros(())),
    ):
        with pytest.raises(InputError):
            wrong()
    assert issubclass(InputError, ArgotError)

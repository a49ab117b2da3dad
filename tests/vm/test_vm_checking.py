"""Programs in float64, and the values in between."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from argot.mpc.aby3 import Aby3
from argot.vm.check import check
from argot.vm.checking import exposed, first_difference, in_the_clear
from argot.vm.conformance import on_world
from argot.vm.lower import Spec, secret_random, trace

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(6, 4)), RNG.normal(size=4)


def loops(x, w):
    def inner(c, r):
        return c + r * w, jnp.exp(-c)

    def outer(c, _):
        return jax.lax.scan(inner, c, x, reverse=True)

    c, rows = jax.lax.scan(outer, jnp.zeros(4), None, 3)
    n, v = jax.lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] * 0.5), (0, c))
    return jnp.where(c > 0, c, 0.0), rows.sum(0), v + n, jnp.sort(x[:, 0])


def test_in_the_clear_is_what_jax_computes():
    program = trace(loops, [Spec(X.shape), Spec(W.shape)]).program
    with jax.enable_x64(True):
        wanted = jax.tree.leaves(loops(jnp.asarray(X), jnp.asarray(W)))
    for a, b in zip(in_the_clear(program, [X, W]), wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_all_values_in_between_agree():
    program, sources = exposed(trace(loops, [Spec(X.shape), Spec(W.shape)]).program)
    check(program)
    assert len(sources) > 10 and any(len(source.path) == 3 for source in sources)
    found, _ = on_world(Aby3, program, [X, W])
    assert first_difference(sources, found, in_the_clear(program, [X, W]), 1e-3) is None


def test_the_first_overflow_is_named():
    """20 000^2 is above 2^26, in the first round already."""

    def grows(x):
        def step(c, _):
            y = c * 200.0
            return y, (y * y).sum()

        return jax.lax.scan(step, x, None, 3)[1]

    x = np.array([0.5, 100.0])
    program, sources = exposed(trace(grows, [Spec((2,))]).program)
    found, _ = on_world(Aby3, program, [x])
    difference = first_difference(sources, found, in_the_clear(program, [x]), 1e-2)
    assert difference is not None
    assert (difference.source.op, difference.rounds) == ("matmul", (0,))
    assert difference.wanted == 4e8 + 1e4


def test_random_numbers_are_not_compared():
    program, sources = exposed(trace(lambda x: x + secret_random("fixed", (4,), 18), [Spec((4,))]).program)
    found, _ = on_world(Aby3, program, [W])
    assert None in in_the_clear(program, [W])
    assert first_difference(sources, found, in_the_clear(program, [W]), 1e-2) is None

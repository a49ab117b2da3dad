"""Estimates of programs against what their runs send."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from argot.mpc.aby3 import Aby3
from argot.runtime.link import Link
from argot.runtime.world import World
from argot.vm.conformance import reference
from argot.vm.estimate import estimate
from argot.vm.ir import PUBLIC, private
from argot.vm.lower import Spec, trace
from argot.vm.machine import run
from argot.vm.values import Private, Public

RNG = np.random.default_rng(0)
X, Y, W = RNG.normal(size=(40, 6)), RNG.normal(size=40), RNG.normal(size=6)


def regression(x, y, w):
    def step(w, _):
        p = jax.nn.sigmoid(x @ w)
        return w - x.T @ (p - y) / 40, None

    return jax.lax.scan(step, w, None, 5)[0]


def nested(x, y, w):
    def inner(c, r):
        return c * r, jnp.max(c * r)

    def outer(c, _):
        c, tops = jax.lax.scan(inner, c, x[:3])
        return c, tops.sum()

    return jax.lax.scan(outer, w, None, 4)


PROGRAMS = {
    "product": lambda x, y, w: x @ w * y,
    "regression": regression,
    "nested loops": nested,
    "sort": lambda x, y, w: (jnp.sort(x[:, 0] + y), jnp.argsort(x[:, 1] - y)),
    "functions": lambda x, y, w: (jnp.exp(x * w), jnp.log(abs(y - x[:, 0]) + 1), jax.nn.softmax(x * w)),
    "branches": lambda x, y, w: jax.lax.cond(jnp.sum(y) > x[0, 0], lambda v: v * v, lambda v: -v, w),
    "bits": lambda x, y, w: jnp.where((x > w) & (x < 1), x, 0.25),
    "alone": lambda x, y, w: (x * x).sum(),
}


def measured(program, arrays):
    """Bytes and rounds of the program alone: of private inputs, and without opening anything."""
    world = World(Aby3)

    async def alone(p):
        plain = reference()
        values = [
            Public.of(a, v.type)
            if v.visibility == PUBLIC
            else Private.of(v.visibility.rank, a if p.party.rank == v.visibility.rank else None, v.type, plain)
            for v, a in zip(program.parameters, arrays, strict=True)
        ]
        await run(program, values, p, plain)

    world.run(alone)
    return world


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_estimate_is_what_a_run_sends(name):
    arrays = [X, Y, W]
    specs = [Spec(a.shape, a.dtype.name, private(i)) for i, a in enumerate(arrays)]
    program = trace(PROGRAMS[name], specs).program
    found, world = estimate(program, Aby3, 64, 18), measured(program, arrays)
    assert found.sent == tuple(map(float, world.sent))
    assert world.rounds <= found.rounds <= 1.25 * world.rounds + 2
    assert found.bytes == sum(line.bytes for line in found.lines) == world.bits / 8
    calls = {line.where: (line.calls, line.rounds, line.bytes) for line in found.lines if line.calls}
    lines = {line.name.removeprefix("line "): line for line in world.record.lines}
    assert calls.keys() == lines.keys()
    for where, (count, rounds, sent) in calls.items():
        assert (count, sent) == (lines[where].calls, lines[where].total("bits") / 8)
        assert lines[where].rounds <= rounds


def test_large_elementwise_equations_count_in_proportion():
    program = trace(lambda x, y: x * y, [Spec((2**19,)), Spec((2**19,))]).program
    assert estimate(program, Aby3, 64, 18).bytes == pytest.approx(26.5 * 2**19, rel=0.01)


@pytest.mark.parametrize(("link", "bytes_"), [(Link(1e9, 0.04), 30.75), (Link(1e9, 0.0005), 26.5)])
@pytest.mark.parametrize("size", [2**16, 2**20])
def test_the_form_is_the_one_that_the_whole_array_takes(link, bytes_, size):
    """Few are 2^21 elements over the one link, more than a sample has, and 2^15 over the other."""
    program = trace(lambda x, y: x * y, [Spec((size,)), Spec((size,))]).program
    assert estimate(program, Aby3, 64, 18, link).bytes == pytest.approx(bytes_ * size, rel=0.01)
    program = trace(lambda x, y: x * y, [Spec((2**22,)), Spec((2**22,))]).program
    assert estimate(program, Aby3, 64, 18, link).bytes == pytest.approx(26.5 * 2**22, rel=0.01)


def test_one_round_of_a_while_loop_is_counted_and_named():
    def halve(x):
        return jax.lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] * c[1]), (0, x))[1]

    found = estimate(trace(halve, [Spec((8,))]).program, Aby3, 64, 18)
    assert len(found.endless) == 1 and "test_vm_estimate.py" in found.endless[0]
    assert found.rounds == estimate(trace(lambda x: x * x, [Spec((8,))]).program, Aby3, 64, 18).rounds


def test_seconds_over_a_link():
    """10 rounds at 20 ms, 1.25 MB at 100 Mbit/s, 50 ms of work."""
    assert Link(100e6, 0.02).seconds(10, 1.25e6, 0.05) == pytest.approx(0.2 + 0.1 + 0.05)

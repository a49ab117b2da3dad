"""Equations that go on in the task of the one before them: as if each had its own, with fewer tasks."""

from __future__ import annotations

import operator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot.errors import ProgramError
from argot.mpc.aby3 import Aby3
from argot.runtime.world import Delivery
from argot.vm import machine
from argot.vm.conformance import on_plain, on_world, reference
from argot.vm.ir import PUBLIC
from argot.vm.lower import Spec, trace
from argot.vm.machine import alone, run
from argot.vm.values import Secret, encode

OPS = {
    "mul": operator.mul,
    "add": operator.add,
    "xor": operator.xor,
    "twice": lambda a, b: 2 * a,
    "choose": lambda a, b: a * (a > b) + b * (a <= b),
}


@st.composite
def straight(draw):
    """Equations (name, operand, operand) over two inputs and all results so far, most of them the latest one."""
    lines = []
    for i in range(draw(st.integers(1, 12))):
        latest = st.just(i + 1)
        operand = st.one_of(latest, latest, st.integers(0, i + 1))
        lines.append((draw(st.sampled_from(sorted(OPS))), draw(operand), draw(operand)))
    return lines


def program_of(lines):
    """A function that runs the equations and returns what none of them uses, and the last."""
    used = {i for _, *operands in lines for i in operands}

    def fn(x, y):
        values = [x, y]
        for name, a, b in lines:
            values.append(OPS[name](values[a], values[b]))
        return [value for i, value in enumerate(values) if i > 1 and (i not in used or i == len(values) - 1)]

    return fn


X, Y = np.array([3, -2, 0]), np.array([-1, 5, 7])


@settings(max_examples=40, deadline=None)
@given(straight(), st.sampled_from([1, 2, 8]))
def test_any_program_computes_the_same(lines, window):
    fn = program_of(lines)
    with np.errstate(over="ignore"):
        wanted = fn(X, Y)
    program = trace(fn, [Spec((3,), "int64"), Spec((3,), "int64")]).program
    in_order, world = on_world(Aby3, program, [X, Y], window=window)
    scattered, other = on_world(Aby3, program, [X, Y], window=window, delivery=Delivery())
    for found in (on_plain(program, [X, Y], window=window), in_order, scattered):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b)
    assert world.traffic == other.traffic


def tasks(monkeypatch, fn, *shapes):
    """How many tasks the machine spawns, and rounds."""
    count = 0

    def counted(*args):
        nonlocal count
        count += 1
        return spawn(*args)

    spawn = machine.spawn
    monkeypatch.setattr(machine, "spawn", counted)
    _, world = on_world(Aby3, trace(fn, [Spec(shape) for shape in shapes]).program, [np.ones(s) for s in shapes])
    monkeypatch.undo()
    assert count % 3 == 0
    return count // 3, world.rounds


def power(x, n):
    y = x
    for _ in range(n):
        y = y * x
    return y


def test_a_chain_is_one_task(monkeypatch):
    few, rounds = tasks(monkeypatch, lambda x: power(x, 3), (2,))
    many, more = tasks(monkeypatch, lambda x: power(x, 30), (2,))
    assert few == many == 1
    assert more > rounds


def test_no_chain_holds_up_what_stands_beside_it():
    """A window counts tasks. As many rounds as when every equation is one."""

    def two(x, y):
        a, b, between = x * y, y * y, [x * (y + (i + 1) / 64) for i in range(31)]
        for _ in range(30):
            a, b = a * x, b * y
        return a, b, between

    def large(x, c):
        return [(c / (c + 1 + i) + x).sum() for i in range(6)]

    for fn, shapes, limit in ((two, [(2,), (2,)], 66), (large, [(machine.LARGE // 4,), ()], 24)):
        arrays = [np.full(shape, 0.5) for shape in shapes]
        _, world = on_world(Aby3, trace(fn, [Spec(shape) for shape in shapes]).program, arrays)
        assert world.rounds <= limit


def test_a_carry_that_stays_public_is_declared_before_anybody_asks():
    """What is local must not depend on whether the loop has ended."""

    def fn(x, n):
        one, p = jnp.ones(3), x * x
        a, b = jax.lax.fori_loop(
            0, 1, lambda i, v: (v[0] * x, jax.lax.cond(n > i, lambda: one, lambda: v[1] * x)), (x, one)
        )
        return a, p, [x * (x + i + 1) for i in range(3)], b * 0.3

    program = trace(fn, [Spec((3,)), Spec((), "int64", PUBLIC)]).program
    x, n = np.array([0.5, -1.0, 2.0]), np.array(5)
    with jax.enable_x64(True):
        wanted = [np.asarray(v) for v in jax.tree.leaves(fn(jnp.asarray(x), jnp.asarray(n)))]
    for window in (1, 2, 4, 32):
        for seed in range(3):
            found, _ = on_world(Aby3, program, [x, n], window=window, seed=seed, delivery=Delivery())
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-4)


def test_what_others_use_ends_a_chain(monkeypatch):
    """Two users of one result, or an operand that comes later, are tasks of their own, and run side by side."""

    def fork(x, y):
        z = x * y
        return power(z, 4), z * z * y

    def late(x, y):
        z = x * x
        return z * (jnp.exp(y) * y)

    forked, rounds = tasks(monkeypatch, fork, (2,), (2,))
    assert forked == 4
    assert rounds == tasks(monkeypatch, lambda x, y: power(x * y, 4), (2,), (2,))[1]
    assert tasks(monkeypatch, late, (2,), (2,))[0] == 2


def test_chains_share_rounds(monkeypatch):
    def side_by_side(x):
        return [power(x + i, 6) for i in range(8)]

    spawned, rounds = tasks(monkeypatch, side_by_side, (3,))
    assert spawned == 8
    assert rounds == tasks(monkeypatch, lambda x: power(x + 2, 6), (3,))[1]


def test_a_failure_within_a_chain_names_its_own_line():
    class Broken(type(reference())):
        calls = 0

        async def mul_trunc(self, x, y, d=None):
            self.calls += 1
            if self.calls == 3:
                raise ValueError("no")
            return await super().mul_trunc(x, y, d)

    def fn(x, y):
        z = x * y
        z = z * y
        z = z * x
        return z * y

    broken = Broken(reference().party)
    program = trace(fn, [Spec((2,)), Spec((2,))]).program
    value = Secret(encode(np.ones(2), program.parameters[0].type, broken), program.parameters[0].type)
    with pytest.raises(ProgramError) as caught:
        alone(run(program, [value, value], broken, broken))
    assert caught.value.where.endswith(f":{fn.__code__.co_firstlineno + 3}")

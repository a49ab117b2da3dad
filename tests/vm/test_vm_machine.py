"""The machine: same results and names whatever the network, the window and the order of arrival."""

from __future__ import annotations

import gc
import sys
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from argot.errors import EncodeError, InputError, ProgramError
from argot.mpc import plain
from argot.mpc.aby3 import Aby3
from argot.mpc.protocol import Arith
from argot.runtime.world import Delivery
from argot.vm.conformance import on_plain, on_world, reference
from argot.vm.ir import PUBLIC, SECRET, TensorType
from argot.vm.lower import Spec, trace
from argot.vm.machine import alone, run
from argot.vm.values import Private, Public, Secret, encode

RNG = np.random.default_rng(11)
X, Y, N = RNG.normal(size=(6, 4)), RNG.normal(size=(6, 3)), np.array(2)


def mixture(x, y, n):
    """Independent chains, a loop, a while, a branch, private parts."""
    a = jnp.exp(x).sum(0)
    b = jax.nn.relu(y @ y.T)
    w = jax.lax.fori_loop(0, 3, lambda i, v: v * 0.5 + jnp.abs(v - i) * a, a)
    k = jax.lax.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * s[1].sum()), (0, y * 0.1))[1]
    c = jax.lax.cond(n > 1, lambda: b[0, 0] * w, lambda: w)
    return w, k, c, x[n] > a, jnp.maximum(b, x @ x.T)


PROGRAM = trace(mixture, [Spec((6, 4)), Spec((6, 3)), Spec((), "int64", PUBLIC)]).program
LOCKSTEP = {w: on_world(Aby3, PROGRAM, [X, Y, N], window=w) for w in (1, 2, 8)}


def test_results_are_right():
    with jax.enable_x64(True):
        wanted = jax.tree.leaves(mixture(X, Y, jnp.asarray(N)))
    for a, b in zip(LOCKSTEP[8][0], wanted, strict=True):
        np.testing.assert_allclose(a.astype(float), np.asarray(b).astype(float), atol=1e-2, rtol=1e-2)


def test_windows_change_rounds_and_nothing_else():
    for window in (1, 2):
        for a, b in zip(LOCKSTEP[window][0], LOCKSTEP[8][0], strict=True):
            np.testing.assert_array_equal(a, b)
        assert LOCKSTEP[window][1].bits == LOCKSTEP[8][1].bits
        assert LOCKSTEP[window][1].traffic == LOCKSTEP[8][1].traffic
    assert LOCKSTEP[8][1].rounds < LOCKSTEP[2][1].rounds < LOCKSTEP[1][1].rounds


@pytest.mark.parametrize("window", [1, 2, 8])
@pytest.mark.parametrize("seed", range(4))
def test_any_delivery_gives_the_same(window, seed):
    """Delayed, reordered, split; parties of different speeds: same results and messages, path by path."""
    found, world = on_world(Aby3, PROGRAM, [X, Y, N], window=window, seed=0, delivery=Delivery())
    for a, b in zip(found, LOCKSTEP[window][0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert world.traffic == LOCKSTEP[window][1].traffic


def test_independent_equations_share_rounds():
    def chains(n):
        def fn(x):
            return [x * (i + 2) * x * x * x for i in range(n)]

        _, world = on_world(Aby3, trace(fn, [Spec((3,))]).program, [np.ones(3)])
        return world.rounds

    assert chains(8) == chains(1)


def test_independent_loops_share_rounds():
    def loops(n):
        def fn(x):
            return [jax.lax.fori_loop(0, 5, lambda i, v, k=k: v * x * (0.5 + k), x) for k in range(n)]

        _, world = on_world(Aby3, trace(fn, [Spec((3,))]).program, [np.ones(3)])
        return world.rounds

    assert loops(4) == loops(1)


def test_progress_of_outer_loops():
    def fn(x):
        return jax.lax.fori_loop(0, 3, lambda i, v: jax.lax.fori_loop(0, 2, lambda j, u: u * x, v), x)

    program = trace(fn, [Spec((2,))]).program
    p, seen = reference(), []
    value = Secret(encode(np.ones(2), program.parameters[0].type, p), program.parameters[0].type)
    alone(run(program, [value], p, p, progress=lambda *step: seen.append(step)))
    assert [(done, total) for _, done, total in seen] == [(1, 3), (2, 3), (3, 3)]
    assert all(where.startswith("test_vm_machine.py:") for where, _, _ in seen)


def test_values_are_freed_after_their_last_use(monkeypatch):
    """A long chain over a large array keeps a few of them alive, not all."""
    made, alive = [], []

    class Watched(Arith):
        __slots__ = ("__weakref__",)

        def __init__(self, parts):
            super().__init__(parts)
            made.append(weakref.ref(self))
            alive.append(sum(ref() is not None for ref in made))

    monkeypatch.setattr(plain, "Arith", Watched)

    def chain(x):
        v = x
        for i in range(60):
            v = (v * x + i).reshape(2, 5).T.reshape(10)
        return v

    on_plain(trace(chain, [Spec((10,))]).program, [np.ones(10) * 0.5], window=2)
    gc.collect()
    assert len(made) > 100 and max(alive) < 12


def test_zero_rounds_and_empty_arrays():
    def fn(x, e):
        same = jax.lax.fori_loop(0, 0, lambda i, v: v * 2, jnp.zeros(3))
        rows = jax.lax.scan(lambda c, r: (c + r, r * c), 0.0, e)
        return same, rows, jnp.concatenate([e, x]), (e > 0).all(), e.sum()

    program = trace(fn, [Spec((3,)), Spec((0,))]).program
    x = np.arange(3.0)
    for found in (on_plain(program, [x, x[:0]]), on_world(Aby3, program, [x, x[:0]])[0]):
        np.testing.assert_allclose(found[3], x, atol=1e-5)
        assert found[2].shape == (0,) and found[4] and found[5] == 0


def test_inputs_are_checked():
    program = trace(lambda x, n: x[n], [Spec((3,)), Spec((), "int64", PUBLIC)]).program
    plain = reference()
    x, n = TensorType("fixed", (3,)), TensorType("i64")
    good = Secret(encode(np.ones(3), x, plain), x)
    for inputs, message in [
        ([good], "1 inputs"),
        ([good, Public.of(1.0, TensorType("fixed"))], "is fixed"),
        ([Private.of(0, np.ones(3), x, plain), Public.of(1, n)], "is not secret"),
        ([good, Secret(encode(np.array(1), n, plain), n)], "is not public"),
    ]:
        with pytest.raises(InputError, match=message):
            alone(run(program, inputs, plain, plain))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2.0**26, -(2.0**30)])
def test_encoding_refuses_what_does_not_fit(bad):
    array = np.ones((4, 3))
    array[2, 1] = bad
    with pytest.raises(EncodeError, match=r"index \(2, 1\)"):
        Private.of(0, array, TensorType("fixed", (4, 3)), reference())


def test_encoding_refuses_other_shapes_and_dtypes():
    with pytest.raises(InputError, match="shape"):
        Private.of(0, np.ones(3), TensorType("fixed", (4,)), reference())
    with pytest.raises(InputError, match="dtype"):
        Private.of(0, np.ones(3), TensorType("i64", (3,)), reference())


def test_failures_name_the_users_line():
    """What a kernel raises becomes a ProgramError with file and line."""

    class Broken(type(reference())):
        async def mul_trunc(self, x, y, d=None):
            raise ValueError("shapes (2,) and (3,) do not match")

    broken = Broken(reference().party)
    program = trace(lambda x: x * x[::-1], [Spec((2,))]).program
    value = Secret(encode(np.ones(2), program.parameters[0].type, broken), program.parameters[0].type)
    with pytest.raises(ProgramError, match="mul of fixed") as caught:
        alone(run(program, [value], broken, broken))
    assert caught.value.where and caught.value.where.startswith("test_vm_machine.py:")


@pytest.mark.parametrize(("ring", "fraction_bits", "tolerance"), [(32, 8, 0.1), (64, 18, 1e-3), (128, 40, 1e-3)])
def test_rings(ring, fraction_bits, tolerance):
    def fn(x, c):
        return 0.25 * jnp.where(c, x @ x.T, 1.0) + x.sum(), x > 0, (x[:, 0] > 0).sum(), jnp.maximum(x, 0.5)

    x, c = RNG.uniform(-1, 1, (3, 3)), RNG.random((3, 3)) > 0.5
    program = trace(fn, [Spec((3, 3)), Spec((3, 3), "bool")]).program
    with jax.enable_x64(True):
        wanted = jax.tree.leaves(fn(x, c))
    for found in (
        on_plain(program, [x, c], ring=ring, fraction_bits=fraction_bits),
        on_world(Aby3, program, [x, c], ring=ring, fraction_bits=fraction_bits)[0],
    ):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a.astype(float), np.asarray(b).astype(float), atol=tolerance)


def calls(rounds, n):
    """Calls of functions, Python's and C's, while a loop of so many rounds of three equations runs."""
    program = trace(lambda x: jax.lax.fori_loop(0, rounds, lambda i, v: v + x, x), [Spec((n,))]).program
    plain, type_ = reference(), program.parameters[0].type
    value, count = Secret(encode(np.zeros(n), type_, plain), type_), 0

    def profile(frame, event, arg):
        nonlocal count
        count += event in ("call", "c_call")

    gc.disable()  # what it calls counts as well
    sys.setprofile(profile)
    try:
        alone(run(program, [value], plain, plain))
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


def test_calls_of_an_equation():
    """As many whatever ran before and however large the array is. `argot bench overhead` has the microseconds."""
    calls(1, 4)
    early, late = calls(200, 4) - calls(100, 4), calls(1100, 4) - calls(1000, 4)
    large = calls(200, 4000) - calls(100, 4000)
    assert early == late == large
    assert early / 300 < 40


def test_secret_is_the_default():
    assert Spec((3,)).visibility == SECRET

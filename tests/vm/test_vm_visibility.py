"""Where private values are shared: never more than the best of all ways, and never computed elsewhere."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot.mpc.aby3 import Aby3
from argot.vm import ops
from argot.vm.check import check
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import PUBLIC, SECRET, Block, Equation, Program, TensorType, Var, private, renumber
from argot.vm.lower import Spec, trace
from argot.vm.visibility import place


def shares(program):
    """The sizes of what is shared, and the elements that shared operations send."""
    known = {}

    def walk(block):
        known.update(block.vars())
        for eqn in block.equations:
            for inner in eqn.blocks:
                walk(inner)

    walk(program.body)
    return sorted(known[e.inputs[0]].type.size for e in program.body.walk() if e.op == "share")


def traced(fn, *specs):
    return trace(fn, specs).program


ALICE, BOB = private(0), private(1)


def test_sums_are_shared_rather_than_rows():
    program = traced(lambda x, y: x.sum(0) * y, Spec((1000, 3), visibility=ALICE), Spec((3,), visibility=BOB))
    assert shares(program) == [3, 3]


def test_a_product_with_public_weights_stays_with_its_owner():
    program = traced(
        lambda x, y, w: x @ w + y, Spec((100, 9), visibility=ALICE), Spec((100,), visibility=BOB),
        Spec((9,), visibility=PUBLIC),
    )  # fmt: skip
    assert shares(program) == [100, 100]


def test_copies_are_shared_before_they_are_made():
    program = traced(
        lambda x, y: jnp.broadcast_to(x, (50, 4)) + y, Spec((4,), visibility=ALICE), Spec((50, 4), visibility=BOB)
    )
    assert shares(program) == [4, 200]


def test_functions_are_computed_by_their_owner_even_if_that_shares_more():
    """exp of an outer sum: sharing 400 results costs less than 400 exponentials on shares."""
    program = traced(
        lambda x, y: jnp.exp(x[:, None] + x) * y, Spec((20,), visibility=ALICE), Spec((20, 20), visibility=BOB)
    )
    assert shares(program) == [400, 400]


def test_loops_share_once_outside():
    def train(x, y):
        return jax.lax.fori_loop(0, 10, lambda i, w: w - x.T @ (x @ w - y), jnp.zeros(3))

    program = traced(train, Spec((50, 3), visibility=ALICE), Spec((50,), visibility=BOB))
    assert shares(program) == [50, 150]
    assert not [e for loop in program.body.equations if loop.blocks for e in loop.blocks[0].walk() if e.op == "share"]


def test_a_loop_of_one_party_stays_with_it():
    def mean(x, y):
        return jax.lax.fori_loop(0, 10, lambda i, w: 0.5 * (w + x.mean(0)), jnp.zeros(3)) + y

    assert shares(traced(mean, Spec((50, 3), visibility=ALICE), Spec((3,), visibility=BOB))) == [3, 3]


def test_scanned_rows_of_two_parties():
    def dot(x, y):
        return jax.lax.scan(lambda c, r: (c + r[0] * r[1].sum(), r[1].sum()), 0.0, (x, y))

    arrays = [np.arange(6.0), np.arange(24.0).reshape(6, 4)]
    program = traced(dot, Spec((6,), visibility=ALICE), Spec((6, 4), visibility=BOB))
    found, _ = on_world(Aby3, program, arrays)
    np.testing.assert_allclose(found[0], (arrays[0] * arrays[1].sum(1)).sum(), atol=1e-3)
    np.testing.assert_allclose(found[1], arrays[1].sum(1), atol=1e-3)


def test_branches_of_a_public_choice():
    def fn(n, x, y):
        return jax.lax.cond(n > 0, lambda: x * 2 + y, lambda: y - x.sum())

    program = traced(fn, Spec((), "int64", PUBLIC), Spec((4,), visibility=ALICE), Spec((4,), visibility=BOB))
    x, y = np.arange(4.0), np.ones(4)
    for n, wanted in ((1, x * 2 + y), (0, y - x.sum())):
        found, _ = on_world(Aby3, program, [np.array(n), x, y])
        np.testing.assert_allclose(found[0], wanted, atol=1e-4)


# ---- against all ways to place shares --------------------------------------------------------------------------------


@st.composite
def random_programs(draw):
    """Sums, moves and products over inputs of two parties, one public and one secret value."""
    shapes = {1: (1,), 4: (4,), 12: (12,)}
    variables = [
        Var(i, TensorType("fixed", shapes[draw(st.sampled_from([1, 4, 12]))]), v)
        for i, v in enumerate([ALICE, ALICE, BOB, PUBLIC, SECRET])
    ]
    equations = []
    params = tuple(variables)
    for _ in range(draw(st.integers(1, 7))):
        x = draw(st.sampled_from(variables))
        kind = draw(st.sampled_from(["neg", "sum", "wide", "add", "mul", "exp"]))
        if kind in ("add", "mul"):
            y = draw(st.sampled_from([v for v in variables if v.type == x.type]))
            op, inputs, attrs = kind, (x, y), {}
        elif kind == "sum":
            if not x.type.shape:
                continue
            x = _say(variables, equations, "reduce_sum", (x,), {"axes": (0,)})
            op, inputs, attrs = "reshape", (x,), {"shape": (1,)}
        elif kind == "wide":
            n = draw(st.sampled_from([4, 12]))
            if x.type.shape != (1,):
                continue
            op, inputs, attrs = "broadcast", (x,), {"shape": (n,), "dims": (0,)}
        else:
            op, inputs, attrs = (
                kind,
                (x,),
                {"bound": None, "low": None, "high": None, "general": False} if kind == "exp" else {},
            )
        _say(variables, equations, op, inputs, attrs)
    made = [v.id for v in variables[5:]] or [0]
    return Program("random", tuple("abcde"), Block(params, tuple(equations), (made[-1],)))


def _say(variables, equations, op, inputs, attrs):
    visibility = PUBLIC
    for v in inputs:
        visibility = visibility.join(v.visibility)
    out = Var(len(variables), ops.find(op).infer(*(v.type for v in inputs), **attrs), visibility)
    variables.append(out)
    equations.append(Equation(op, tuple(v.id for v in inputs), (out,), attrs))
    return out


def price(program, kept):
    """What a choice of privately computed values costs, or None if it cannot be."""
    known = program.body.vars()
    total, shared = 0.0, set()
    for eqn in program.body.equations:
        out = eqn.outputs[0]
        if out.id in kept and any(known[i].visibility.is_private and i not in kept for i in eqn.inputs):
            return None
        if out.id not in kept:
            shared |= {i for i in eqn.inputs if i in kept and out.visibility != PUBLIC}
        if out.visibility.is_private and out.id not in kept:
            total += ops.find(eqn.op).price((), [known[i].type for i in eqn.inputs], out.type)
    return total + sum(max(known[i].type.size, 1) for i in shared)


@settings(max_examples=150, deadline=None)
@given(random_programs())
def test_no_other_placing_costs_less(program):
    known = program.body.vars()
    inputs = {v.id for v in program.body.params if v.visibility.is_private}
    free = [i for i, v in known.items() if v.visibility.is_private and i not in inputs]
    best = min(
        cost
        for choice in product([False, True], repeat=len(free))
        if (cost := price(program, inputs | {i for i, c in zip(free, choice, strict=True) if c})) is not None
    )
    placed = renumber(place(program))
    check(placed)
    names = dict(zip(_order(program), _order_without_shares(placed), strict=True))
    after = placed.body.vars()
    kept = {i for i, v in known.items() if v.visibility.is_private and after[names[i]].visibility.is_private}
    assert price(program, kept) == best


def _order(program):
    return [v.id for v in program.body.params] + [e.outputs[0].id for e in program.body.equations]


def _order_without_shares(program):
    made = [e.outputs[0].id for e in program.body.equations if e.op != "share"]
    return [v.id for v in program.body.params] + made


@settings(max_examples=25, deadline=None)
@given(random_programs(), st.integers(0, 2**32 - 1))
def test_moving_the_cut_changes_little(program, seed):
    """All secret, or as placed: the same values up to the last places."""
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1, 1, v.type.shape) for v in program.body.params]
    placed = renumber(place(program))
    secret = _all_secret(program)
    for a, b in zip(on_plain(placed, arrays), on_plain(secret, arrays), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-3)


def _all_secret(program):
    def hide(v):
        return replace(v, visibility=SECRET if v.visibility != PUBLIC else PUBLIC)

    body = program.body
    equations = tuple(replace(e, outputs=tuple(map(hide, e.outputs))) for e in body.equations)
    return Program(program.name, program.inputs, Block(tuple(map(hide, body.params)), equations, body.results))


@pytest.mark.parametrize("seed", range(3))
def test_every_party_computes_its_own_part(seed):
    """Three owners; each applies its own function before the data meet."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(8, 2)) for _ in range(3)]

    def fn(a, b, c):
        return jnp.tanh(a).sum(0) + jnp.exp(b).sum(0) * jax.nn.sigmoid(c).sum(0)

    program = traced(fn, *(Spec((8, 2), visibility=private(r)) for r in range(3)))
    assert shares(program) == [2, 2, 2]
    found, world = on_world(Aby3, program, arrays, seed=seed)
    with jax.enable_x64(True):
        np.testing.assert_allclose(found[0], fn(*arrays), atol=1e-2)
    assert world.rounds <= 5

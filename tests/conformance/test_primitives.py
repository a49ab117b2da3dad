"""Every lowering rule there is, by its own examples: on every protocol, against JAX in float64.

A new rule in `argot/vm/lower/rules` is picked up by itself; a rule without an example fails. So are the kernels for
functions of JAX in `argot/vm/lower/named.py` and those for complex numbers in `argot/vm/lower/complex.py`.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from forms import forms

from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import NUMPY, PUBLIC, SECRET, ir_dtype, private
from argot.vm.lower import (
    Spec,
    complex,
    follow,
    named,
    random_order,
    rules,
    secret_random,
    sort_order,
    trace,
    within,
)
from argot.vm.lower.catalogue import ALIASES, table

J = SimpleNamespace(
    jax=jax, jnp=jax.numpy, lax=jax.lax, within=within, draw=secret_random, order=sort_order, follow=follow,
    random_order=random_order,
)  # fmt: skip
REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference" / "primitives.md"

CASES = [
    pytest.param(example, i, id=f"{name}-{i}")
    for name, rule in [
        *rules.every().items(),
        *((f"jnp.{name}", kernel) for name, kernel in named.every().items()),
        *((f"complex.{name}", kernel) for name, kernel in complex.every().items()),
    ]
    for i, example in enumerate(getattr(rule, "examples", ()))
]


def inputs(example, seed):
    """Arguments as the example asks for them, on the grid of fixed point so that encoding is exact."""
    rng = np.random.default_rng(seed)
    arrays = []
    for arg in example.args:
        dtype = np.dtype(arg.dtype)
        if dtype.kind == "f":
            values = np.round(rng.uniform(arg.low, arg.high, arg.shape) * 2**18) / 2**18
        else:
            values = rng.integers(int(arg.low), int(arg.high), arg.shape).astype(dtype)
        arrays.append(values)
    return arrays


def program_of(example, arrays, visibility):
    specs = [
        Spec(a.shape, a.dtype.name, PUBLIC if arg.public else visibility)
        for a, arg in zip(arrays, example.args, strict=True)
    ]
    return trace(lambda *args: example.fn(J, *args), specs).program


def wanted(example, arrays):
    with jax.enable_x64(True):
        return [np.asarray(leaf) for leaf in jax.tree.leaves(example.fn(J, *map(jax.numpy.asarray, arrays)))]


def compare(found, expected, example):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert a.dtype == NUMPY[ir_dtype(b.dtype)]
        if b.dtype.kind == "f":
            np.testing.assert_allclose(a, b, atol=example.atol, rtol=example.rtol)
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("example", "number"), CASES)
def test_rule_in_the_clear(example, number):
    """Secret, private and public inputs give the same, whether an equation runs on shares or not."""
    arrays = inputs(example, seed=number)
    expected = wanted(example, arrays)
    for visibility in (SECRET, private(0), PUBLIC):
        compare(on_plain(program_of(example, arrays, visibility), arrays), expected, example)


@pytest.mark.parametrize("protocol", forms(hiding=True))
@pytest.mark.parametrize(("example", "number"), CASES)
def test_rule_on_shares(example, number, protocol):
    arrays = inputs(example, seed=number)
    found, _ = on_world(protocol, program_of(example, arrays, SECRET), arrays)
    compare(found, wanted(example, arrays), example)


@pytest.mark.parametrize("name", list(rules.every()))
def test_rule_has_an_example_that_uses_it(name):
    """Other names of a primitive, in other versions of JAX, need none."""
    rule = rules.find(name)
    assert rule.__doc__, f"{name} says nothing about itself"
    if name in ALIASES:
        return
    assert getattr(rule, "examples", ()), f"{name} has no example"
    found = set()
    for example in rule.examples:
        arrays = inputs(example, seed=0)
        with jax.enable_x64(True):
            closed = jax.make_jaxpr(lambda *a, e=example: e.fn(J, *a))(*map(jax.numpy.asarray, arrays))
        found |= primitives(closed.jaxpr)
    assert name in found, f"the examples of {name} trace to {sorted(found)}"


def primitives(jaxpr):
    found = set()
    for eqn in jaxpr.eqns:
        found.add(eqn.primitive.name.replace("-", "_"))
        for value in jax.tree.leaves(
            list(eqn.params.values()), is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found |= primitives(inner)
    return found


def test_the_reference_lists_every_rule():
    """docs/reference/primitives.md is made by `python -m argot.vm.lower.catalogue`."""
    assert table() in REFERENCE.read_text(), "run: python -m argot.vm.lower.catalogue > docs/reference/primitives.md"

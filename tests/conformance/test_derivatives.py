"""`jax.grad` and `jax.vmap` of the functions that programs may use: all are lowered, some are computed, against JAX.

A named kernel, and a primitive with rules of its own, lose their derivative or their batches first: what JAX makes of a
call keeps its name and takes other values.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from functions import FUNCTIONS

from argot import mpc
from argot.errors import UnsupportedError
from argot.vm.conformance import on_plain, on_world
from argot.vm.lower import Spec, trace
from argot.vm.lower.example import Arg

REFUSED = {
    ("special.digamma", "grad"): "polygamma",  # there is no series for the derivatives of digamma
    ("gradient of max pooling", "grad"): "select_and_gather_add",  # the derivative of a derivative of max pooling
    ("jnp.intersect1d, size=", "vmap"): "windows at indices",  # a window at another secret place in each row
    ("lax.dynamic_slice", "vmap"): "windows at indices",
    ("lax.dynamic_update_slice", "vmap"): "windows at indices",
}
"""What cannot be lowered, and a word of its error."""

NOT_IN_JAX = {
    "x.at[i].multiply": "scatter_mul gradients",
    "lax.while_loop": "Reverse-mode",
}
"""Functions of which JAX itself has no derivative, and a word of its error."""


def _is_real(x):
    return np.asarray(x).dtype.kind == "f"


def _total(fn):
    """The sum of all real results."""

    def total(*args):
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(fn(*args))]
        return sum((jnp.sum(leaf) for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)), 0.0)

    return total


def _secret_cases(function):
    """The cases of a function whose arguments are all secret, none of them empty."""
    for case, arrays in zip(function.cases, function.arrays(), strict=True):
        if not any(isinstance(a, Arg) and a.public for a in case.args) and all(np.size(a) for a in arrays):
            yield case.fn, [np.asarray(a) for a in arrays]


def _gradient(function):
    """The gradient of a function by its real arguments, and arguments for it; None if it has none."""
    for fn, arrays in _secret_cases(function):
        reals = tuple(i for i, a in enumerate(arrays) if _is_real(a))
        if reals:
            return jax.grad(_total(fn), reals), arrays
    return None


def _batch(function):
    """The function of two of each argument."""
    for fn, arrays in _secret_cases(function):
        return jax.vmap(fn), [np.stack([a, a]) for a in arrays]
    return None


LONG = {"special.gammainc", "special.betainc", "linalg.eigh"}
"""Thousands of equations, of which none is special to a batch: `special.gammaincc` and `linalg.svd` have the same."""

GRADIENTS = {f.name: _gradient(f) for f in FUNCTIONS if _gradient(f)}
BATCHES = {f.name: _batch(f) for f in FUNCTIONS if f.name not in LONG and _batch(f)}


def _program(fn, arrays):
    return trace(fn, [Spec(a.shape, a.dtype.name) for a in arrays]).program


@pytest.mark.parametrize("name", GRADIENTS)
def test_a_gradient_is_lowered(name):
    fn, arrays = GRADIENTS[name]
    if name in NOT_IN_JAX:
        with jax.enable_x64(True), pytest.raises(Exception, match=NOT_IN_JAX[name]):
            jax.make_jaxpr(fn)(*arrays)
        return
    _lowered_or_refused(fn, arrays, (name, "grad"))


@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_is_lowered(name):
    fn, arrays = BATCHES[name]
    _lowered_or_refused(fn, arrays, (name, "vmap"))


def _lowered_or_refused(fn, arrays, key):
    """A program is checked as it is made: shapes, dtypes and visibilities of every equation."""
    if key not in REFUSED:
        _program(fn, arrays)
        return
    with pytest.raises(UnsupportedError, match=REFUSED[key]) as caught:
        _program(fn, arrays)
    assert caught.value.where
    assert caught.value.todo


def test_what_is_refused_is_in_the_list():
    assert {name for name, how in REFUSED if how == "grad"} | set(NOT_IN_JAX) <= set(GRADIENTS)
    assert {name for name, how in REFUSED if how == "vmap"} <= set(BATCHES)


# ---- values ---------------------------------------------------------------------------------------------------------

linalg = jnp.linalg


def _squares(fn):
    return lambda *args: (fn(*args) ** 2).sum()


def _logdet(a):
    return linalg.slogdet(a)[1]


def _mantissa(x):
    return jnp.frexp(x)[0]


def _drawn(*shape, low=-2.0, high=2.0):
    rng = np.random.default_rng(7)
    return np.round(rng.uniform(low, high, shape) * 2**18) / 2**18


MATRICES = _drawn(2, 3, 3, low=-1, high=1) + 3 * np.eye(3)
LARGER = _drawn(4, 4, low=-1, high=1) + 4 * np.eye(4)
MATRIX, SIDES = MATRICES[0], _drawn(2, 3)
SIDE, X, Y = SIDES[0], _drawn(2, 3), _drawn(2, 3, low=0.5, high=4)
WHOLE, DIVISORS = np.array([-7, 9, 30]), np.array([[3, -4], [5, 7], [-7, 1]])
SQUARE = np.array([[3, -4, 5], [5, 7, 2], [-7, 1, 4]])

VALUES = {
    "grad of a compiled solve": (jax.jit(jax.grad(_squares(jax.jit(linalg.solve)), (0, 1))), MATRIX, SIDE),
    "jvp of solve": (lambda a, y: jax.jvp(linalg.solve, (a, y), (a, 2 * y)), MATRIX, SIDE),
    "vmap of solve": (jax.vmap(linalg.solve), MATRICES, SIDES),
    "vmap of grad of solve": (jax.vmap(jax.grad(_squares(linalg.solve), (0, 1))), MATRICES, SIDES),
    "grad of inv": (jax.grad(_squares(linalg.inv)), MATRIX),
    "grad of det": (jax.grad(lambda a: linalg.det(a / 4)), LARGER),
    "grad of slogdet": (jax.grad(_logdet), MATRIX),
    "grad of remainder": (jax.grad(lambda x, y: jnp.remainder(x, y).sum(), (0, 1)), X, Y),
    "vmap of remainder": (jax.vmap(jnp.remainder), WHOLE, DIVISORS),
    "vmap of remainder, square": (jax.vmap(jnp.remainder), WHOLE, SQUARE),
    "remainder, square": (jnp.remainder, WHOLE, SQUARE),
    "vmap of floor_divide": (jax.vmap(jnp.floor_divide, (None, 0)), WHOLE, DIVISORS.T),
    "vmap of floor_divide, last axis": (jax.vmap(jnp.floor_divide, (None, -1)), WHOLE, DIVISORS),
    "vmap of gcd": (jax.vmap(jnp.gcd, (None, 0)), WHOLE.astype("int8"), DIVISORS.T.astype("int8")),
    "grad of ldexp": (jax.grad(lambda x, n: jnp.ldexp(x, n).sum()), X, WHOLE // 5),
    "vmap of ldexp": (jax.vmap(jnp.ldexp), _drawn(3), DIVISORS),
    "grad of a spectrum": (jax.grad(lambda x: jnp.fft.rfft(x, 8, axis=0).imag.sum()), X),
    "grad of a complex product": (jax.grad(lambda x, y: ((x + 1j * y) @ (y + 1j * x).T).imag.sum(), (0, 1)), X, Y),
}

ON_SHARES = ("vmap of grad of solve", "grad of slogdet", "vmap of ldexp", "grad of a spectrum")
"""Of which ABY3 computes the values too."""


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_jax(name):
    fn, *arrays = VALUES[name]
    with jax.enable_x64(True):
        wanted = [np.asarray(leaf) for leaf in jax.tree.leaves(fn(*map(jnp.asarray, arrays)))]
    program = _program(fn, arrays)
    results = [on_plain(program, arrays)]
    if name in ON_SHARES:
        results.append(on_world(mpc.load("aby3"), program, arrays)[0])
    for found in results:
        for a, b in zip(found, wanted, strict=True):
            assert a.shape == b.shape
            if b.dtype.kind == "f":
                np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)
            else:
                np.testing.assert_array_equal(a, b)

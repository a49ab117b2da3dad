"""Training loops: the same in the clear and on shares, for models of flax and optimisers of optax."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen
from sklearn.datasets import load_digits

import argot
from argot.errors import InputError
from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import PUBLIC
from argot.vm.lower import Spec, trace

X, Y = load_digits(return_X_y=True)
X, Y = X[:96] / 16.0, np.eye(10)[Y[:96]]


class Mlp(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(linen.relu(linen.Dense(12)(x)))


class Cnn(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(4, (3, 3), strides=2)(x.reshape(-1, 8, 8, 1)))
        return linen.Dense(10)(linen.avg_pool(x, (2, 2), (2, 2)).reshape(x.shape[0], -1))


OPTIMIZERS = {
    "sgd": (optax.sgd(0.2), 3e-3),
    "momentum": (optax.sgd(0.1, momentum=0.9, nesterov=True), 3e-3),
    "adam": (optax.adam(0.02, b2=0.9, eps=1e-2), 1e-2),  # squares of gradients have two digits here
    "amsgrad": (optax.amsgrad(0.02, b2=0.9, eps=1e-2), 1e-2),
}


def initial(model):
    with jax.enable_x64(True):
        params = model.init(jax.random.PRNGKey(0), jnp.zeros((1, 64)))
    return jax.tree.map(lambda v: np.round(np.asarray(v, np.float64) * 2**12) / 2**12, params)


def training(model, optimizer, rows=64, epochs=1):
    """The function, flat, and its arguments: leaves of the parameters first, public."""
    start = initial(model)
    leaves, tree = jax.tree.flatten(start)

    def loss(params, x, y):
        return optax.softmax_cross_entropy(model.apply(params, x), y).mean()

    def fn(x, y, *leaves):
        return argot.nn.fit(loss, optimizer, tree.unflatten(leaves), x, y, batch_size=16, epochs=epochs)

    return fn, [X[:rows], Y[:rows], *leaves], tree, loss


def in_the_clear(fn, arrays):
    with jax.enable_x64(True):
        return [np.asarray(v) for v in jax.tree.leaves(fn(*map(jnp.asarray, arrays)))]


def program_of(fn, arrays):
    specs = [Spec(a.shape, visibility=PUBLIC) if i > 1 else Spec(a.shape) for i, a in enumerate(arrays)]
    return trace(fn, specs).program


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    """Four steps, parameter by parameter, beside JAX in float64."""
    optimizer, tolerance = OPTIMIZERS[name]
    fn, arrays, _, _ = training(Mlp(), optimizer)
    wanted, program = in_the_clear(fn, arrays), program_of(fn, arrays)
    assert max(np.abs(w - a).max() for w, a in zip(wanted, arrays[2:], strict=True)) > 0.02
    for found in (on_plain(program, arrays), on_world(Aby3, program, arrays)[0]):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance)


def test_the_usual_adam_in_a_ring_of_128():
    fn, arrays, _, _ = training(Mlp(), optax.adam(0.02), rows=32)
    wanted = in_the_clear(fn, arrays)
    found = on_plain(program_of(fn, arrays), arrays, ring=128, fraction_bits=40)
    off = [np.abs(a - b) for a, b in zip(found, wanted, strict=True)]
    # A parameter with a gradient of 1e-8 moves as far as any other, one way or the other.
    assert max(v.max() for v in off) < 0.05 and np.mean(np.concatenate([v.ravel() for v in off]) > 3e-3) < 0.01


def test_a_convolutional_network():
    fn, arrays, _, _ = training(Cnn(), OPTIMIZERS["momentum"][0], rows=32)
    wanted = in_the_clear(fn, arrays)
    for a, b in zip(on_world(Aby3, program_of(fn, arrays), arrays)[0], wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-3)


def test_it_learns():
    fn, arrays, tree, loss = training(Mlp(), OPTIMIZERS["momentum"][0], rows=96, epochs=6)
    found = on_plain(program_of(fn, arrays), arrays)
    before, after = (float(loss(tree.unflatten(leaves), arrays[0], arrays[1])) for leaves in (arrays[2:], found))
    assert after < before / 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 97}, "97"),
        ({"y": Y[:95]}, "95 of y"),
    ],
)
def test_bad_arguments(change, message):
    given = {"x": X, "y": Y, "batch_size": 16, "epochs": 1, **change}
    with pytest.raises(InputError, match=message):
        argot.nn.fit(lambda p, x, y: 0.0, optax.sgd(0.1), {}, **given)

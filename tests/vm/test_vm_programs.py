"""Whole programs, as users write them: on `Plain` and under ABY3, against JAX in float64."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import PUBLIC, SECRET, private
from argot.vm.lower import Spec, trace

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(24, 5)), (RNG.random(24) > 0.5).astype(float)
W, W1, W2 = RNG.normal(size=5), RNG.normal(size=(5, 4)) / 2, RNG.normal(size=(4, 3)) / 2
LABELS = np.eye(3)[RNG.integers(0, 3, 24)]
MASK = RNG.random((24, 5)) > 0.3


def squared(w, x, y):
    return jnp.mean((jax.nn.sigmoid(x @ w) - y) ** 2)


def cross_entropy(w, x, y):
    z = x @ w
    return jnp.mean(jax.nn.softplus(z) - y * z)


def descent(loss):
    def train(w, x, y):
        return jax.lax.fori_loop(0, 5, lambda i, v: v - 0.5 * jax.grad(loss)(v, x, y), w)

    return train


def perceptron(w1, w2, x, y):
    def loss(weights):
        scores = jax.nn.relu(x @ weights[0]) @ weights[1]
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(scores) * y, axis=1))

    return jax.value_and_grad(loss)((w1, w2))


def adam(g):
    def step(i, state):
        w, m, v = state
        m, v = 0.9 * m + 0.1 * g, 0.9 * v + 0.1 * g * g
        rate = 0.1 / (1 + i)
        return w - rate * (m / (1 - 0.9 ** (i + 1))) / (jnp.sqrt(v / (1 - 0.9 ** (i + 1))) + 1e-2), m, v

    return jax.lax.fori_loop(0, 3, step, (g, 0 * g, 0 * g))[0]


CASES = {
    "logistic, squared loss": (descent(squared), (W, X, Y), 2e-3),
    "logistic, cross entropy": (descent(cross_entropy), (W, X, Y), 2e-3),
    "loss and gradient": (jax.value_and_grad(cross_entropy), (W, X, Y), 1e-3),
    "hessian": (jax.hessian(cross_entropy), (W, X, Y), 1e-3),
    "perceptron": (perceptron, (W1, W2, X, LABELS), 1e-3),
    "adam": (adam, (W,), 1e-2),
    "softmax": (lambda x: jax.nn.softmax(3 * x, axis=1), (X,), 1e-4),
    "softmax, masked by -1e4": (lambda x, m: jax.nn.softmax(jnp.where(m, x, -1e4), axis=1), (X, MASK), 1e-4),
    "softmax, masked by -inf": (lambda x, m: jax.nn.softmax(jnp.where(m, x, -jnp.inf), axis=1), (X, MASK), 1e-4),
    "logsumexp": (lambda x: jax.scipy.special.logsumexp(x, axis=1), (X,), 1e-3),
    "scan": (lambda x: jax.lax.scan(lambda c, r: (c * 0.5 + r, (c * r).sum()), jnp.zeros(5), x), (X,), 1e-3),
    "scan of a derivative": (
        jax.grad(lambda x: jax.lax.scan(lambda c, r: (c * r, None), jnp.ones(5), x[:4])[0].sum()),
        (X,),
        1e-3,
    ),
    "vmap of grad": (
        lambda w, x, y: jax.vmap(jax.grad(squared), (None, 0, 0))(w, x[:, None], y[:, None]),
        (W, X, Y),
        1e-3,
    ),
    "cond on a secret": (lambda x: jax.lax.cond(x.sum() > 0, lambda v: v * 2, lambda v: v - 1, x), (X,), 1e-4),
    "while on a public count": (
        lambda x: jax.lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] * 0.5 + 1), (0, x))[1],
        (X,),
        1e-4,
    ),
    "standardised": (lambda x: (x - x.mean(0)) / x.std(0), (X,), 1e-3),
    "covariance": (lambda x: jnp.cov(x.T), (X,), 1e-3),
    "indexing": (lambda x: x[:, jnp.array([0, 2])] @ x[jnp.array([1, 3]), :2].T, (X,), 1e-3),
    "one-hot": (lambda y, x: jax.nn.one_hot(y, 3).T @ x, (RNG.integers(0, 3, 24), X), 1e-3),
    "activations": (lambda x: (jax.nn.gelu(x), jax.nn.silu(x), jax.nn.elu(x), jax.nn.leaky_relu(x)), (X,), 2e-3),
    "floor and remainder": (lambda x: (x // 2, x % 2, (4 * x) // 3), (X,), 1e-4),
    "questions for NaN": (lambda x: (jnp.nan_to_num(x), jnp.nanmean(x), jnp.isnan(x), jnp.isfinite(x)), (X,), 1e-4),
    "guarded division": (lambda x: jnp.where(x == 0, 0.0, 1 / jnp.where(x == 0, 1.0, x)), (abs(X) + 0.25,), 1e-3),
    "large powers of two": (lambda x: (x * 65536.0, x * 2.0**20, x / 2.0**-17), (X / 2**6,), 1e-1),
    "one of two numbers": (
        lambda x: (
            jnp.where(x > 0, 2, 3),
            jnp.where(x > 0, 0.3, -1e6),
            jnp.where(x > 0, 1.0, -jnp.ones(5)),
            0.5 * (x > 0),
        ),
        (X,),
        3e-6,  # half a unit in the last place of the numbers; the choice between them is exact
    ),
    "extremes": (lambda x: (jnp.max(x, 1), jnp.argmin(x, 0), jnp.ptp(x)), (X,), 1e-4),
}


def expected(fn, arrays):
    with jax.enable_x64(True):
        return [np.asarray(leaf) for leaf in jax.tree.leaves(fn(*map(jnp.asarray, arrays)))]


def close(found, wanted, tolerance):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a.astype(float), b.astype(float), atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_program(name):
    fn, arrays, tolerance = CASES[name]
    program = trace(fn, [Spec(a.shape, a.dtype.name) for a in arrays]).program
    wanted = expected(fn, arrays)
    close(on_plain(program, arrays), wanted, tolerance)
    found, _ = on_world(Aby3, program, arrays)
    close(found, wanted, tolerance)


@pytest.mark.parametrize("name", ["logistic, squared loss", "perceptron", "scan", "cond on a secret", "one-hot"])
def test_program_on_data_of_several_parties(name):
    """Every input at another owner, some public: the same results."""
    fn, arrays, tolerance = CASES[name]
    wanted = expected(fn, arrays)
    for shift in range(3):
        places = [[private(0), private(1), PUBLIC, private(2), SECRET][(i + shift) % 5] for i in range(len(arrays))]
        specs = [Spec(a.shape, a.dtype.name, v) for a, v in zip(arrays, places, strict=True)]
        found, _ = on_world(Aby3, trace(fn, specs).program, arrays)
        close(found, wanted, tolerance)


def test_program_of_one_party_costs_nothing():
    """What depends on one party's data is computed there: the result stays private, and no message is sent."""
    program = trace(lambda x: jax.nn.softmax(x @ x.T), [Spec(X.shape, visibility=private(1))]).program
    assert {v.visibility for v in program.results} == {private(1)}
    assert not [e for e in program.body.walk() if e.op == "share"]
    close(on_plain(program, [X]), expected(lambda x: jax.nn.softmax(x @ x.T), [X]), 1e-3)


def test_public_program_is_exact():
    """Public numbers are float64: a small learning rate is no fixed point."""
    program = trace(lambda n: jnp.sum(1e-9 / (1.0 + n)), [Spec((3,), "int64", PUBLIC)]).program
    (found,) = on_plain(program, [np.array([0, 1, 3])])
    assert abs(found - 1.75e-9) < 1e-20

"""Algorithms as users write them in JAX, unchanged, on shares, against scikit-learn."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_world
from argot.vm.ir import private
from argot.vm.lower import Spec, trace

X, Y = load_iris(return_X_y=True)
X = np.round(X * 2**10) / 2**10
ORDER = np.random.default_rng(0).permutation(len(X))
TRAIN, TEST = ORDER[:90], ORDER[90:110]


def on_shares(fn, *arrays):
    """Arguments of two owners in turn."""
    specs = [Spec(a.shape, a.dtype.name, private(i % 2)) for i, a in enumerate(arrays)]
    found = on_world(Aby3, trace(fn, specs).program, list(arrays))[0]
    return found[0] if len(found) == 1 else found


def kmeans(x, start, rounds=6):
    def step(centers, _):
        distance = ((x[:, None] - centers[None]) ** 2).sum(-1)
        mine = jax.nn.one_hot(jnp.argmin(distance, 1), centers.shape[0])
        return (mine.T @ x) / mine.sum(0)[:, None], None

    return jax.lax.scan(step, start, None, rounds)[0]


def first_components(x, rounds=12):
    x = x - x.mean(0)
    covariance = x.T @ x / x.shape[0]
    v = jnp.eye(x.shape[1], 2) + 0.1

    def step(v, _):
        v = covariance @ v
        first = v[:, 0] / jnp.sqrt((v[:, 0] ** 2).sum())
        second = v[:, 1] - (v[:, 1] @ first) * first
        return jnp.stack([first, second / jnp.sqrt((second**2).sum())], 1), None

    return jax.lax.scan(step, v, None, rounds)[0]


def naive_bayes(x, y, new):
    code = jax.nn.one_hot(y, 3)
    count = code.sum(0)
    mean = code.T @ x / count[:, None]
    variance = code.T @ x**2 / count[:, None] - mean**2 + 1e-3
    score = jnp.log(count) - 0.5 * (((new[:, None] - mean) ** 2 / variance) + jnp.log(variance)).sum(-1)
    return jnp.argmax(score, 1)


def nearest_neighbours(x, y, new, k=5):
    distance = ((new[:, None] - x[None]) ** 2).sum(-1)
    _, nearest = jax.lax.top_k(-distance, k)
    votes = jax.nn.one_hot(y[nearest], 3).sum(1)
    return jnp.argmax(votes, 1)


def ridge(x, y, alpha=1.0):
    mean, level = x.mean(0), y.mean()
    x = x - mean
    w = jnp.linalg.solve(x.T @ x + alpha * jnp.eye(x.shape[1]), x.T @ (y - level))
    return jnp.concatenate([w, (level - mean @ w)[None]])


def test_ridge_regression():
    y = X[:, 3] + 0.5 * X[:, 0]
    found, wanted = on_shares(ridge, X[:, :3], y), Ridge(1.0).fit(X[:, :3], y)
    np.testing.assert_allclose(found, [*wanted.coef_, wanted.intercept_], atol=2e-3)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_systems_of_equations(n):
    """Pivots are found in secret: the first one here is zero."""
    rng = np.random.default_rng(n)
    a, y = rng.normal(size=(n, n)) + 2 * np.eye(n)[::-1], rng.normal(size=(n, 3))
    a[0, 0] = 0 if n > 1 else a[0, 0]
    vector, matrix, inverse = on_shares(
        lambda a, y: (jnp.linalg.solve(a, y[:, 0]), jnp.linalg.solve(a, y), jnp.linalg.inv(a)), a, y
    )
    np.testing.assert_allclose(vector, np.linalg.solve(a, y[:, 0]), atol=1e-3)
    np.testing.assert_allclose(matrix, np.linalg.solve(a, y), atol=1e-3)
    np.testing.assert_allclose(inverse, np.linalg.inv(a), atol=1e-3)


def test_kmeans():
    start = X[[0, 60, 120]]
    wanted = KMeans(3, init=start, n_init=1, max_iter=6, tol=0).fit(X).cluster_centers_
    np.testing.assert_allclose(on_shares(kmeans, X, start), wanted, atol=2e-2)


def test_principal_components():
    found = on_shares(first_components, X)
    wanted = PCA(2).fit(X).components_.T
    assert np.abs((found * wanted).sum(0)) == pytest.approx([1, 1], abs=1e-2)


def test_naive_bayes():
    wanted = GaussianNB(var_smoothing=1e-3 / X[TRAIN].var(0).max()).fit(X[TRAIN], Y[TRAIN]).predict(X[TEST])
    np.testing.assert_array_equal(on_shares(naive_bayes, X[TRAIN], Y[TRAIN], X[TEST]), wanted)


def test_nearest_neighbours():
    wanted = KNeighborsClassifier(5).fit(X[TRAIN], Y[TRAIN]).predict(X[TEST[:6]])
    np.testing.assert_array_equal(on_shares(nearest_neighbours, X[TRAIN], Y[TRAIN], X[TEST[:6]]), wanted)

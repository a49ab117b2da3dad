"""Five algorithms as one writes them in JAX, unchanged, on rows whose columns lie with two owners.

    python examples/algorithms.py

The flowers are scikit-learn's iris: alice has the widths and lengths of the sepals, bob those of the petals and the
species. Each algorithm runs on shares of both, its result is revealed to alice, and beside it stands what scikit-learn
finds in the clear.
"""

from __future__ import annotations

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

import argot

SPECIES = 3
STARTS = (0, 60, 120)  # rows that k-means begins with
FEW = 1e-3  # added to variances


# ---- the algorithms ------------------------------------------------------------------------------------------------


def kmeans(x: Any, start: Any, rounds: int = 6) -> Any:
    def step(centers: Any, _: Any) -> tuple[Any, None]:
        distance = ((x[:, None] - centers[None]) ** 2).sum(-1)
        mine = jax.nn.one_hot(jnp.argmin(distance, 1), centers.shape[0])
        return (mine.T @ x) / mine.sum(0)[:, None], None

    return jax.lax.scan(step, start, None, rounds)[0]


def first_components(x: Any, rounds: int = 12) -> Any:
    """The first two principal components, by power iteration."""
    x = x - x.mean(0)
    covariance = x.T @ x / x.shape[0]
    v = jnp.eye(x.shape[1], 2) + 0.1

    def step(v: Any, _: Any) -> tuple[Any, None]:
        v = covariance @ v
        first = v[:, 0] / jnp.sqrt((v[:, 0] ** 2).sum())
        second = v[:, 1] - (v[:, 1] @ first) * first
        return jnp.stack([first, second / jnp.sqrt((second**2).sum())], 1), None

    return jax.lax.scan(step, v, None, rounds)[0]


def ridge(x: Any, y: Any, alpha: float = 1.0) -> Any:
    mean, level = x.mean(0), y.mean()
    x = x - mean
    w = jnp.linalg.solve(x.T @ x + alpha * jnp.eye(x.shape[1]), x.T @ (y - level))
    return jnp.concatenate([w, (level - mean @ w)[None]])


def naive_bayes(x: Any, y: Any, new: Any) -> Any:
    code = jax.nn.one_hot(y, SPECIES)
    count = code.sum(0)
    mean = code.T @ x / count[:, None]
    variance = code.T @ x**2 / count[:, None] - mean**2 + FEW
    score = jnp.log(count) - 0.5 * (((new[:, None] - mean) ** 2 / variance) + jnp.log(variance)).sum(-1)
    return jnp.argmax(score, 1)


def nearest_neighbours(x: Any, y: Any, new: Any, k: int = 5) -> Any:
    distance = ((new[:, None] - x[None]) ** 2).sum(-1)
    _, nearest = jax.lax.top_k(-distance, k)
    votes = jax.nn.one_hot(y[nearest], SPECIES).sum(1)
    return jnp.argmax(votes, 1)


# ---- where the columns are -----------------------------------------------------------------------------------------


def flowers() -> tuple[np.ndarray, np.ndarray]:
    """All rows in random order: four columns in multiples of 2^-10, and the species."""
    x, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return np.round(x[order] * 2**10) / 2**10, y[order]


def sepals() -> np.ndarray:
    return flowers()[0][:, :2]


def petals() -> tuple[np.ndarray, np.ndarray]:
    x, y = flowers()
    return x[:, 2:], y


def run(new: int = 10) -> dict[str, dict[str, float]]:
    """For each algorithm the largest difference to scikit-learn (or the share of other classes), and seconds.

    Args:
        new: rows that are classified; the others are learned from.
    """
    with argot.local("alice", "bob", "carol") as fed:
        alice, bob, carol = fed.parties
        mpc = fed.mpc(alice, bob, carol)
        left = argot.device(alice)(sepals)()
        right, species = argot.device(bob)(petals)()
        x = argot.device(mpc)(lambda left, right: jnp.concatenate([left, right], 1))(left, right)
        calls = {
            "k-means": (lambda x: kmeans(x, x[jnp.array(STARTS)]), x),
            "principal components": (first_components, x),
            "ridge regression": (lambda x: ridge(x[:, :3], x[:, 3]), x),
            "naive Bayes": (lambda x, y: naive_bayes(x[new:], y[new:], x[:new]), x, species),
            "nearest neighbours": (lambda x, y: nearest_neighbours(x[new:], y[new:], x[:new]), x, species),
        }
        found = {}
        for name, (function, *arguments) in calls.items():
            began = time.perf_counter()
            result = argot.device(mpc)(function)(*arguments)
            value = np.asarray(argot.reveal(result, to=alice).value())
            found[name] = {"off": off(name, value, new), "seconds": time.perf_counter() - began}
    return found


def off(name: str, found: np.ndarray, new: int) -> float:
    """How far a result is from scikit-learn's: the largest difference, or the share of rows in another class."""
    x, y = flowers()
    if name == "k-means":
        wanted = KMeans(SPECIES, init=x[list(STARTS)], n_init=1, max_iter=6, tol=0).fit(x).cluster_centers_
    elif name == "principal components":
        wanted = PCA(2).fit(x).components_.T
        wanted = wanted * np.sign((wanted * found).sum(0))  # a direction has no sign
    elif name == "ridge regression":
        model = Ridge(1.0).fit(x[:, :3], x[:, 3])
        wanted = np.append(model.coef_, model.intercept_)
    else:
        smoothing = FEW / x[new:].var(0).max()
        model = GaussianNB(var_smoothing=smoothing) if name == "naive Bayes" else KNeighborsClassifier(5)
        return float(np.mean(found != model.fit(x[new:], y[new:]).predict(x[:new])))
    return float(np.abs(found - wanted).max())


def main() -> None:
    print(f"{'algorithm':22} {'off by':>8} {'seconds':>8}")
    for name, row in run().items():
        print(f"{name:22} {row['off']:8.1e} {row['seconds']:8.2f}")


if __name__ == "__main__":
    main()

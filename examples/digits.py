"""Two hospitals train one network on the scans of both, and neither sees a scan of the other, nor the network.

    python examples/digits.py [--model mlp|cnn|nnx] [--data digits|shaped] [--optimizer sgd|momentum|adam|amsgrad]
                              [--rows 1000] [--epochs 3] [--ring 64|128]

The scans are scikit-learn's handwritten digits (1,797 of 8 x 8 points), or pictures of MNIST's shape made from them
(28 x 28); alice has one half of the training rows, bob the other. The predictions for held-out rows are revealed to
alice, who knows what they are of. Beside them stands the accuracy of the same loop in the clear.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen, nnx
from scipy.ndimage import zoom
from sklearn.datasets import load_digits

import argot

HELD_OUT = 297
SIDES = {"digits": 8, "shaped": 28}


class Mlp(linen.Module):
    """Points - 32 - 10."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(linen.relu(linen.Dense(32)(x)))


class Cnn(linen.Module):
    """Eight 3 x 3 filters, the means of 2 x 2 points, 10 outputs."""

    side: int

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(8, (3, 3))(x.reshape(-1, self.side, self.side, 1)))
        return linen.Dense(10)(linen.avg_pool(x, (2, 2), (2, 2)).reshape(x.shape[0], -1))


class NnxMlp(nnx.Module):
    """The first one, as a module of flax.nnx."""

    def __init__(self, points: int, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(points, 32, rngs=rngs)
        self.scores = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x):
        return self.scores(nnx.relu(self.hidden(x)))


Apply = Callable[[Any, Any], Any]


def of_linen(module: linen.Module, side: int) -> tuple[Any, Apply]:
    return module.init(jax.random.PRNGKey(0), jnp.zeros((1, side**2))), module.apply


def of_nnx(module: nnx.Module) -> tuple[Any, Apply]:
    """Devices take and return dicts of arrays: the state is one, the rest of the module stays with the function."""
    graph, state = nnx.split(module, nnx.Param)
    return nnx.to_pure_dict(state), lambda params, x: nnx.merge(graph, params)(x)


MODELS: dict[str, Callable[[int], tuple[Any, Apply]]] = {
    "mlp": lambda side: of_linen(Mlp(), side),
    "cnn": lambda side: of_linen(Cnn(side), side),
    "nnx": lambda side: of_nnx(NnxMlp(side**2, nnx.Rngs(0))),
}
"""By the side of a picture: parameters at the start, and the function that applies them."""


def optimizer(name: str, data: str, ring: int) -> Any:
    """Large pictures have large gradients: smaller steps. With 18 bits after the point, Adam's usual b2 and eps leave
    nothing of the squares (docs/guides/networks.md); with the 40 of a ring of 128 bits they work."""
    scale = 1.0 if data == "digits" else 0.25
    kept: dict[str, float] = {} if ring == 128 else {"b2": 0.9, "eps": 1e-2}
    rate = 0.01 if ring == 128 else 0.03
    return {
        "sgd": optax.sgd(0.5 * scale),
        "momentum": optax.sgd(0.2 * scale, momentum=0.9),
        "adam": optax.adam(rate, **kept),
        "amsgrad": optax.amsgrad(rate, **kept),
    }[name]


def scans(data: str, rows: int, half: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Training rows of one owner, or the held-out ones (None): points in [0, 1], and a column for each digit."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    mine = order[:HELD_OUT] if half is None else order[HELD_OUT:][half::2]
    if data == "shaped":
        return shaped(x[mine] / 16, y[mine], HELD_OUT if half is None else rows // 2, 2 if half is None else half)
    mine = mine if half is None else mine[: rows // 2]
    return x[mine] / 16, np.eye(10)[y[mine]]


def shaped(x: np.ndarray, y: np.ndarray, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of MNIST's shape: digits drawn from these, three times as large, shifted by up to two points, noisy."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(x), size=rows)
    found = np.zeros((rows, 28, 28))
    for picture, small, (down, right) in zip(found, x[drawn], rng.integers(5, size=(rows, 2)), strict=True):
        picture[down : down + 24, right : right + 24] = zoom(small.reshape(8, 8), 3, order=1)
    noisy = found + rng.normal(0, 0.1, found.shape)
    return noisy.clip(0, 1).reshape(rows, -1), np.eye(10)[y[drawn]]


def loss(apply: Apply, params: Any, x: Any, y: Any) -> Any:
    return optax.softmax_cross_entropy(apply(params, x), y).mean()


def learn(apply: Apply, chosen: Any, epochs: int, params: Any, a: Any, b: Any) -> Any:
    """Rows of both owners in turn, so that each batch has some of each."""
    x, y = (jnp.stack(v, axis=1).reshape(-1, v[0].shape[1]) for v in zip(a, b, strict=True))
    return argot.nn.fit(partial(loss, apply), chosen, params, x, y, batch_size=50, epochs=epochs)


def accuracy(scores: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(scores.argmax(1) == y.argmax(1)))


def run(model: str = "mlp", rows: int = 1000, epochs: int = 3, **chosen: Any) -> dict[str, float]:
    """What `measure` finds with three agents of its own."""
    with argot.local("alice", "bob", "carol") as fed:
        return measure(fed, model, rows, epochs, **chosen)


def measure(
    fed: argot.Federation,
    model: str,
    rows: int,
    epochs: int,
    *,
    data: str = "digits",
    optimize: str = "momentum",
    ring: int = 64,
) -> dict[str, float]:
    """Accuracy on shares and in the clear; seconds, bytes and rounds of sharing the rows and training on them."""
    start, apply = MODELS[model](SIDES[data])
    train = partial(learn, apply, optimizer(optimize, data, ring), epochs)
    alice, bob, carol = fed.parties
    mpc = fed.mpc(alice, bob, carol, ring=ring)
    a, b = argot.device(alice)(scans)(data, rows, 0), argot.device(bob)(scans)(data, rows, 1)
    fed.wait(a, b)
    first, began = len(fed.graph), time.perf_counter()
    params = argot.device(mpc)(train)(jax.tree.map(argot.public, start), a, b)
    fed.wait(params)
    seconds = time.perf_counter() - began
    rounds, sent = fed.report().cost_of(range(first, len(fed.graph)))
    held_out = argot.device(alice)(lambda: scans(data, rows, None)[0])()
    scores = argot.device(mpc)(apply)(params, held_out)
    found = np.asarray(argot.reveal(scores, to=alice).value())
    clear = train(start, scans(data, rows, 0), scans(data, rows, 1))
    test, labels = scans(data, rows, None)
    return {
        "accuracy": accuracy(found, labels),
        "accuracy_plain": accuracy(np.asarray(apply(clear, test)), labels),
        "seconds": seconds,
        "bytes": sent,
        "rounds": rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--data", choices=SIDES, default="digits")
    parser.add_argument("--optimizer", choices=["sgd", "momentum", "adam", "amsgrad"], default="momentum")
    parser.add_argument(
        "--rows", type=int, default=1000, help="training rows of both owners together; at most 1,500 digits"
    )
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--ring", type=int, choices=[64, 128], default=64)
    a = parser.parse_args()
    found = run(a.model, a.rows, a.epochs, data=a.data, optimize=a.optimizer, ring=a.ring)
    print(f"accuracy on shares {found['accuracy']:.3f}, in the clear {found['accuracy_plain']:.3f}")
    print(f"{found['seconds']:.1f} s for {a.epochs} epochs of {a.rows} rows; ", end="")
    print(f"{found['bytes'] / 1e6:.0f} MB, {found['rounds']} rounds")


if __name__ == "__main__":
    main()

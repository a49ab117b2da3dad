"""Two hospitals train one network on the scans of both, and neither sees a scan of the other, nor the network.

    python examples/digits.py [--model mlp|cnn] [--rows 1000] [--epochs 3]

The scans are scikit-learn's handwritten digits (1,797 of 8 x 8 points); alice has one half of the training rows, bob
the other. The predictions for held-out rows are revealed to alice, who knows what they are of. Beside them stands the
accuracy of the same loop in the clear.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen
from sklearn.datasets import load_digits

import argot

HELD_OUT = 297


class Mlp(linen.Module):
    """64 - 32 - 10."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(10)(linen.relu(linen.Dense(32)(x)))


class Cnn(linen.Module):
    """Eight 3 x 3 filters, the means of 2 x 2 points, 10 outputs."""

    @linen.compact
    def __call__(self, x):
        x = linen.relu(linen.Conv(8, (3, 3))(x.reshape(-1, 8, 8, 1)))
        return linen.Dense(10)(linen.avg_pool(x, (2, 2), (2, 2)).reshape(x.shape[0], -1))


MODELS = {"mlp": Mlp(), "cnn": Cnn()}


def scans(rows: int, half: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Training rows of one owner, or the held-out ones (None): points in [0, 1], and a column for each digit."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    mine = order[:HELD_OUT] if half is None else order[HELD_OUT : HELD_OUT + rows][half::2]
    return x[mine] / 16, np.eye(10)[y[mine]]


def loss(model: linen.Module, params: Any, x: Any, y: Any) -> Any:
    return optax.softmax_cross_entropy(model.apply(params, x), y).mean()


def learn(model: linen.Module, epochs: int, params: Any, a: Any, b: Any) -> Any:
    """Rows of both owners in turn, so that each batch has some of each."""
    x, y = (jnp.stack(v, axis=1).reshape(-1, v[0].shape[1]) for v in zip(a, b, strict=True))
    optimizer = optax.sgd(0.2, momentum=0.9)
    return argot.nn.fit(partial(loss, model), optimizer, params, x, y, batch_size=50, epochs=epochs)


def accuracy(scores: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(scores.argmax(1) == y.argmax(1)))


def run(name: str = "mlp", rows: int = 1000, epochs: int = 3) -> dict[str, float]:
    """Accuracy on shares and in the clear, and seconds of the training on shares."""
    model, rows = MODELS[name], rows // 2 * 2
    start = model.init(jax.random.PRNGKey(0), jnp.zeros((1, 64)))
    test, labels = scans(rows, None)
    with argot.local("alice", "bob", "carol") as fed:
        alice, bob, carol = fed.parties
        mpc = fed.mpc(alice, bob, carol)
        a, b = argot.device(alice)(scans)(rows, 0), argot.device(bob)(scans)(rows, 1)
        began = time.perf_counter()
        params = argot.device(mpc)(partial(learn, model, epochs))(jax.tree.map(argot.public, start), a, b)
        fed.wait(params)
        seconds = time.perf_counter() - began
        held_out = argot.device(alice)(lambda: scans(rows, None)[0])()
        scores = argot.device(mpc)(model.apply)(params, held_out)
        found = np.asarray(argot.reveal(scores, to=alice).value())
    clear = learn(model, epochs, start, scans(rows, 0), scans(rows, 1))
    return {
        "accuracy": accuracy(found, labels),
        "accuracy_plain": accuracy(np.asarray(model.apply(clear, test)), labels),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--rows", type=int, default=1000, help="training rows of both owners together")
    parser.add_argument("--epochs", type=int, default=3)
    a = parser.parse_args()
    found = run(a.model, a.rows, a.epochs)
    print(f"accuracy on shares {found['accuracy']:.3f}, in the clear {found['accuracy_plain']:.3f}")
    print(f"{found['seconds']:.1f} s for {a.epochs} epochs of {a.rows} rows")


if __name__ == "__main__":
    main()

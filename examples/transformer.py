"""A clinic has pictures read by a transformer of a company: it does not see the weights, they do not see a picture.

    python examples/transformer.py [--rows 64]

bob trains the model on his own data, in the clear at his agent; the pictures (scikit-learn's digits, a row of points
being a token) are alice's, and so are the answers. Attention, layer norm and gelu run on shares. Beside the accuracy
stands that of the same model in the clear.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen
from sklearn.datasets import load_digits

import argot

TRAINED = 1400


class Block(linen.Module):
    """Attention of two heads, then two layers; layer norm before each."""

    width: int

    @linen.compact
    def __call__(self, x):
        x = x + linen.MultiHeadDotProductAttention(num_heads=2)(linen.LayerNorm(epsilon=1e-3)(x))
        hidden = linen.gelu(linen.Dense(2 * self.width)(linen.LayerNorm(epsilon=1e-3)(x)))
        return x + linen.Dense(self.width)(hidden)


class Transformer(linen.Module):
    """Eight tokens of eight points; one block; the mean over the tokens."""

    width: int = 16

    @linen.compact
    def __call__(self, x):
        place = self.param("place", linen.initializers.normal(0.1), (8, self.width))
        x = Block(self.width)(linen.Dense(self.width)(x.reshape(-1, 8, 8)) + place)
        return linen.Dense(10)(x.mean(1))


MODEL = Transformer()


def digits() -> tuple[np.ndarray, np.ndarray]:
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    return x[order] / 16, y[order]


def weights() -> Any:
    """Trained at their owner, with the loop that would also run on shares."""
    x, y = digits()
    start = MODEL.init(jax.random.PRNGKey(0), jnp.zeros((1, 64)))

    def loss(params: Any, x: Any, y: Any) -> Any:
        return optax.softmax_cross_entropy(MODEL.apply(params, x), y).mean()

    optimizer = optax.adam(3e-3)
    made = argot.nn.fit(
        loss, optimizer, start, jnp.asarray(x[:TRAINED]), jnp.eye(10)[y[:TRAINED]], batch_size=50, epochs=30
    )
    return jax.tree.map(np.asarray, made)


def pictures(rows: int) -> np.ndarray:
    return digits()[0][TRAINED : TRAINED + rows]


def run(rows: int = 64) -> dict[str, float]:
    """Accuracy on shares and in the clear, the largest difference of a score; seconds, bytes and rounds on shares."""
    with argot.local("alice", "bob", "carol") as fed:
        alice, bob, carol = fed.parties
        mpc = fed.mpc(alice, bob, carol)
        model, asked = argot.device(bob)(weights)(), argot.device(alice)(pictures)(rows)
        fed.wait(model, asked)
        began = time.perf_counter()
        scores = argot.device(mpc)(MODEL.apply)(model, asked)
        found = np.asarray(argot.reveal(scores, to=alice).value())
        seconds = time.perf_counter() - began
        cost = fed.report()
    answers = digits()[1][TRAINED : TRAINED + rows]
    clear = np.asarray(MODEL.apply(weights(), pictures(rows)))
    return {
        "accuracy": float(np.mean(found.argmax(1) == answers)),
        "accuracy_plain": float(np.mean(clear.argmax(1) == answers)),
        "max_diff": float(np.abs(found - clear).max()),
        "seconds": seconds,
        "bytes": cost.bytes_total,
        "rounds": cost.rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=64, help="pictures to read, at most 397")
    found = run(parser.parse_args().rows)
    print(f"accuracy on shares {found['accuracy']:.3f}, in the clear {found['accuracy_plain']:.3f}")
    print(f"largest difference of a score {found['max_diff']:.4f}; {found['seconds']:.1f} s on shares; ", end="")
    print(f"{found['bytes'] / 1e6:.0f} MB, {found['rounds']} rounds")


if __name__ == "__main__":
    main()

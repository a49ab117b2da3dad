"""`argot bench mlp`: one epoch of a small network on synthetic images, 784 - 128 - 128 - 10."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import nn
from ..api.calls import device as at
from ..api.federation import Federation
from ..api.local import local
from ..api.public import public
from .measure import figures, median, names, set_up

SIZES = (784, 128, 128, 10)
RATE = 0.1
TRAINING, HELD_OUT = 0, 1
TESTED = 2000


class Sgd:
    """Plain gradient descent, with the two functions of an optimiser."""

    def init(self, params: Any) -> tuple[()]:
        return ()

    def update(self, gradients: Any, memory: tuple[()], params: Any) -> tuple[Any, tuple[()]]:
        return jax.tree.map(lambda g: -RATE * g, gradients), memory


def bench(
    rows: int, batch: int, reps: int = 5, protocol: str = "aby3", agents: Federation | None = None
) -> dict[str, Any]:
    """One epoch on images of alice and labels of bob, of which no shares exist before: making them is part of it.

    Args:
        agents: as for `mpc.bench`.

    Returns:
        op, rows, batch, those of `measure.figures`, accuracy on 2,000 held-out ones, accuracy_plain: the same of the
        same epoch in float64.
    """
    start = weights()
    with local(*names(protocol)) if agents is None else nullcontext(agents) as federation:
        alice, bob = federation.parties[:2]
        device = federation.seat(protocol)
        made = set_up(device)
        x, y = at(alice)(images)(rows, TRAINING).wait(), at(bob)(labels)(rows, TRAINING).wait()
        train = at(device)(partial(epoch, batch))
        measured, trained = median(lambda: train(jax.tree.map(public, start), x, y), reps)
        found = federation.reveal(trained, to=alice).value()
    with jax.enable_x64(True):
        plain = epoch(batch, start, images(rows, TRAINING), labels(rows, TRAINING))
        accuracy, accuracy_plain = accuracy_of(found), accuracy_of(plain)
    return {
        "op": "mlp",
        "rows": rows,
        "batch": batch,
        **figures(measured, made),
        "accuracy": accuracy,
        "accuracy_plain": accuracy_plain,
    }


def infer(rows: int, reps: int = 5, protocol: str = "aby3", agents: Federation | None = None) -> dict[str, Any]:
    """Scores of alice's images by bob's network, of which no shares exist before: making them is part of it.

    Args:
        agents: as for `mpc.bench`.

    Returns:
        op, rows, those of `measure.figures`, max_abs_error beside float64.
    """
    with local(*names(protocol)) if agents is None else nullcontext(agents) as federation:
        alice, bob = federation.parties[:2]
        device = federation.seat(protocol)
        made = set_up(device)
        x, params = at(alice)(images)(rows, HELD_OUT).wait(), at(bob)(weights)().wait()
        measured, found = median(lambda: at(device)(scores)(params, x), reps)
        got = np.asarray(federation.reveal(found, to=alice).value())
    with jax.enable_x64(True):
        want = np.asarray(scores(weights(), images(rows, HELD_OUT)))
    error = float(np.abs(got - want).max())
    return {"op": "infer", "rows": rows, **figures(measured, made), "max_abs_error": error}


def epoch(batch: int, params: Any, x: Any, y: Any) -> Any:
    """The parameters after one pass over the whole batches."""
    return nn.fit(loss, Sgd(), params, x, y, batch_size=batch)


def loss(params: Any, x: Any, y: Any) -> Any:
    """Mean cross entropy of a batch."""
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(scores(params, x)) * y, axis=1))


def scores(params: Any, x: Any) -> Any:
    """(rows, 10), before the softmax."""
    *hidden, (w, b) = params
    for wide, bias in hidden:
        x = jax.nn.relu(x @ wide + bias)
    return x @ w + b


def accuracy_of(params: Any) -> float:
    """Of the largest score, on the held-out images."""
    best = np.asarray(scores(params, images(TESTED, HELD_OUT))).argmax(axis=1)
    return float(np.mean(best == digits(TESTED, HELD_OUT)))


def weights() -> list[tuple[np.ndarray, np.ndarray]]:
    """Where the training starts: normal weights of variance 2 / inputs (He et al., 2015, section 2.2), no bias."""
    rng = np.random.default_rng(13)
    return [(rng.normal(size=(a, b)) * np.sqrt(2 / a), np.zeros(b)) for a, b in pairwise(SIZES)]


def images(rows: int, part: int) -> np.ndarray:
    """(rows, 784) in [0, 1]: each digit's own picture, blended with up to 0.6 of another's, and noise.

    Where the other picture is the stronger, nobody can tell: 85 in 100 is the best to be had.
    """
    pictures = np.random.default_rng(17).random((10, SIZES[0])) ** 3
    rng = np.random.default_rng([19, part])
    own = rng.uniform(0.4, 1, (rows, 1))
    other = rng.integers(0, 10, rows)
    blend = own * pictures[digits(rows, part)] + (1 - own) * pictures[other]
    return np.clip(blend + rng.normal(0, 0.25, blend.shape), 0, 1)


def labels(rows: int, part: int) -> np.ndarray:
    """(rows, 10): a column for each digit."""
    return np.eye(10)[digits(rows, part)]


def digits(rows: int, part: int) -> np.ndarray:
    """What the images show."""
    return np.random.default_rng([23, part]).integers(0, 10, rows)

"""`argot bench mlp`: some batches of the training of a network of 784, 128, 128 and 10 neurons on synthetic rows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .. import nn
from ..api.calls import device as at
from ..api.federation import Federation
from ..api.local import local
from ..api.public import public
from ..errors import InputError
from .measure import median

SIZES = (784, 128, 128, 10)


@dataclass
class Optimizer:
    """What `nn.fit` asks for."""

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


def sgd(rate: float) -> Optimizer:
    """Gradient descent with steps of this length."""
    import jax

    return Optimizer(lambda params: (), lambda g, memory, params: (jax.tree.map(lambda v: -rate * v, g), memory))


def bench(
    batches: int, batch: int = 128, reps: int = 5, protocol: str = "aby3", agents: Federation | None = None
) -> dict[str, Any]:
    """Train on secret rows, half of each batch alice's and half bob's, from weights that are public at the start.

    Args:
        agents: as for `mpc.bench`.

    Returns:
        op, batches, batch, seconds (median; inputs are shared before), bytes_total, bytes_busiest (party), rounds,
        max_abs_error of the weights beside the same training in float32.
    """
    if batches < 1 or batch < 2 or batch % 2:
        raise InputError(f"{batches} batches of {batch}", wanted="at least one, of an even number of rows")
    import jax

    count, params = batches * batch // 2, start()
    with local("alice", "bob", "carol") if agents is None else nullcontext(agents) as federation:
        alice, bob, carol = federation.parties
        device = federation.mpc(alice, bob, carol, protocol=protocol)
        owned = [at(party)(rows)(count, half) for half, party in enumerate((alice, bob))]
        x, y = at(device)(in_turn)(owned).wait()
        fit = at(device)(train)
        measured, weights = median(lambda: fit(jax.tree.map(public, params), x, y, batch), reps)
        got = federation.reveal(weights, to=alice).value()
    want = train(params, *in_turn([rows(count, half) for half in (0, 1)]), batch)
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True)
    return {
        "op": "mlp",
        "batches": batches,
        "batch": batch,
        "seconds": measured.seconds,
        "bytes_total": measured.bytes_total,
        "bytes_busiest": measured.bytes_busiest,
        "rounds": measured.rounds,
        "max_abs_error": max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs),
    }


def rows(count: int, half: int) -> tuple[np.ndarray, np.ndarray]:
    """One owner's rows: points in [0, 1] near the centres of ten classes, (count, 784), and the class, (count, 10)."""
    rng = np.random.default_rng([13, half])
    centres, label = np.random.default_rng(13).random((10, SIZES[0])) ** 3, rng.integers(0, 10, count)
    return np.clip(centres[label] + rng.normal(0, 0.25, (count, SIZES[0])), 0, 1), np.eye(10)[label]


def start() -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of each layer before training."""
    rng = np.random.default_rng(17)
    return [(rng.normal(size=(a, b)) * np.sqrt(2 / a), np.zeros(b)) for a, b in pairwise(SIZES)]


def in_turn(halves: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    """The rows of both owners, one of each in turn."""
    import jax.numpy as jnp

    x, y = (jnp.stack(both, axis=1).reshape(-1, both[0].shape[1]) for both in zip(*halves, strict=True))
    return x, y


def train(params: Any, x: Any, y: Any, batch: int) -> Any:
    return nn.fit(loss, sgd(0.1), params, x, y, batch_size=batch)


def loss(params: Any, x: Any, y: Any) -> Any:
    """The mean cross entropy of a network with rectifiers."""
    import jax

    *hidden, (w, b) = params
    for inner, bias in hidden:
        x = jax.nn.relu(x @ inner + bias)
    return -(jax.nn.log_softmax(x @ w + b) * y).sum(axis=1).mean()

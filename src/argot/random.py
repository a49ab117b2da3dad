"""Random numbers that nobody knows, inside of functions on an MPC device.

    @argot.device(mpc)
    def noisy(x):
        return x + argot.random.normal(x.shape, std=2.0)

Each run draws anew, and each round of a loop. No party knows a number, or could choose it: it is a sum of what every
two parties draw in common. What `jax.random` draws from a public key is public instead: every party knows it.

Numbers have the step of the device (2^-18 in a ring of 64 bits), so these are no samplers for differential privacy:
noise on a grid needs a mechanism made for it.

Under `jax.vmap` a draw has no batch of its own: draw an array of the shape with the batch, and map over it. In plain
JAX the functions draw from the operating system.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import InputError
from .vm import lower


def uniform(shape: int | Sequence[int] = (), low: Any = 0.0, high: Any = 1.0) -> Any:
    """Reals uniform in [low, high), float64 of this shape; `low` and `high` may be secret arrays of it.

    They are multiples of (high - low) times the step of the device.
    """
    unit = lower.secret_random("fixed", _shape(shape), 1)
    if isinstance(low, int | float) and isinstance(high, int | float):
        if not low <= high:
            raise InputError(f"a range from {low} to {high}", wanted="low <= high")
        if (low, high) == (0, 1):
            return unit
    return low + (high - low) * unit


def normal(shape: int | Sequence[int] = (), mean: Any = 0.0, std: Any = 1.0) -> Any:
    """Reals of a normal distribution, float64 of this shape, by Box and Muller's transform of two uniform numbers.

    The largest deviation in a ring of 64 bits is 5 `std`: sqrt(-2 ln 2^-18).
    """
    jnp = lower.jax_module().numpy
    radius = jnp.sqrt(-2 * jnp.log(1 - uniform(shape)))
    return mean + std * radius * jnp.cos(2 * math.pi * uniform(shape))


def bernoulli(p: Any = 0.5, shape: int | Sequence[int] | None = None) -> Any:
    """Booleans that are true with probability `p`, a number or an array (secret ones too), in the device's steps.

    Without `shape` they have that of p.
    """
    jnp = lower.jax_module().numpy
    wanted = jnp.shape(p) if shape is None else _shape(shape)
    if isinstance(p, int | float) and not 0 <= p <= 1:
        raise InputError(f"a probability of {p}", wanted="0 to 1")
    if isinstance(p, float) and p == 0.5:
        return lower.secret_random("bool", wanted, 1)
    return uniform(wanted) < p


def permutation(x: Any) -> Any:
    """The rows of x in an order that nobody knows, all orders alike; of an integer n, the numbers 0 to n-1.

    `argot.order.shuffle` has several arrays in one such order, and the way back.
    """
    array = lower.jax_module().numpy.asarray(np.arange(x) if isinstance(x, int) else x)
    if array.ndim == 0:
        raise InputError("a permutation of a single number", wanted="an array with rows, or an integer")
    return lower.follow(lower.random_order(array.shape[0]), array)


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)

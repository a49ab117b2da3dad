"""Mini-batch gradient descent for logistic regression, as plain JAX.

The same functions run on a ciphertext device, where rows and weights are secret, and in the clear, where a check
compares the two. With rows x_i (a leading 1 for the intercept), labels y_i and batch B of m rows, one step is

    w <- w - rate * ( 1/m * sum over i in B of x_i (sigmoid(x_i w) - y_i)  +  alpha * w without the intercept )

which is the gradient of scikit-learn's objective divided by C n, with alpha = 1 / (C n).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def design(parts: list[jax.Array], y: jax.Array, batch_size: int) -> tuple[jax.Array, jax.Array]:
    """The rows as batches: ((batches, batch_size, 1 + columns), (batches, batch_size)).

    Rows are filled up to whole batches with zeros, the leading 1 included, so that a filler adds nothing to any
    gradient: x_i = 0 there.
    """
    rows = y.shape[0]
    x = jnp.concatenate([jnp.ones((rows, 1)), *parts], axis=1)
    batches = -(-rows // batch_size)
    fill = batches * batch_size - rows
    x = jnp.pad(x, ((0, fill), (0, 0)))
    y = jnp.pad(y, ((0, fill),))
    return x.reshape(batches, batch_size, x.shape[1]), y.reshape(batches, batch_size)


def epoch(w: jax.Array, x: jax.Array, y: jax.Array, *, rows: int, learning_rate: float, alpha: float) -> jax.Array:
    """The weights after one pass over all batches in order.

    Args:
        w: (1 + columns,), intercept first.
        x, y: batches from `design`.
        rows: how many rows are real; the last batch is averaged over its real rows.
        learning_rate: length of a step.
        alpha: strength of the L2 penalty, 1 / (C * rows).
    """
    batches, size, _ = x.shape
    last = rows - (batches - 1) * size
    share = jnp.full(batches, 1.0 / size).at[batches - 1].set(1.0 / last)
    shrink = jnp.full(w.shape, learning_rate * alpha).at[0].set(0.0)

    def step(w: jax.Array, batch: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        xb, yb, weight = batch
        residual = jax.nn.sigmoid(xb @ w) - yb
        return w - learning_rate * ((residual @ xb) * weight) - shrink * w, None

    w, _ = jax.lax.scan(step, w, (x, y, share))
    return w


def probability(w: jax.Array, parts: list[jax.Array]) -> jax.Array:
    """P(y = 0) and P(y = 1) for each row, (rows, 2)."""
    p = jax.nn.sigmoid(jnp.concatenate(parts, axis=1) @ w[1:] + w[0])
    return jnp.stack([1 - p, p], axis=1)


def coefficients(w: jax.Array) -> jax.Array:
    """The weights without the intercept."""
    return w[1:]


def intercept(w: jax.Array) -> jax.Array:
    """The weight of the constant."""
    return w[0]

"""Orders of rows that stay secret: by keys, or random. For functions on an MPC device, and for plain JAX.

    @argot.device(mpc)
    def ranked(score, label, features):
        order = argot.order.by(-score)
        label, features = order.apply(label, features)  # both by one secret permutation
        ...
        return order.undo(label)                        # each row where it was

An order is made once and followed by as many arrays as there are. Nothing is told but the number of rows, the number
and widths of keys, and how many times it is followed; ties neither. It lives inside of the function that makes it: it
is no array, cannot be returned, and cannot enter a loop from outside. Not under `jax.vmap` or `jax.grad`.
`docs/reference/order.md` has what it costs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .errors import InputError
from .vm import lower


class Order:
    """A secret permutation of n rows: `by` and `random` make one."""

    def __init__(self, n: int, index: Any) -> None:
        self.n = n
        self._index = index

    def apply(self, *arrays: Any) -> Any:
        """The rows of each array, (n, ...), in this order; a tuple if there are several.

        Arrays of one dtype follow together: each further one costs its own bytes only, and no rounds.
        """
        moved = self.rows(arrays)
        return moved[0] if len(moved) == 1 else moved

    def undo(self, *arrays: Any) -> Any:
        """Rows that are in this order, back where they were: `undo(apply(x))` is x."""
        moved = self.rows(arrays, inverse=True)
        return moved[0] if len(moved) == 1 else moved

    def rows(self, arrays: Sequence[Any], inverse: bool = False) -> tuple[Any, ...]:
        """`apply`, or `undo` if `inverse`, of any number of arrays."""
        jnp = lower.jax_module().numpy
        columns = [jnp.asarray(x) for x in arrays]
        for x in columns:
            if x.shape[:1] != (self.n,):
                raise InputError(f"an array of shape {x.shape} in an order of {self.n} rows", wanted=f"{self.n} rows")
        moved: dict[int, Any] = {}
        for dtype in dict.fromkeys(x.dtype for x in columns):
            alike = [i for i, x in enumerate(columns) if x.dtype == dtype]
            rows = [columns[i].reshape(self.n, math.prod(columns[i].shape[1:])) for i in alike]
            found, start = lower.follow(self._index, jnp.concatenate(rows, 1), inverse), 0
            for i, row in zip(alike, rows, strict=True):
                moved[i] = found[:, start : start + row.shape[1]].reshape(columns[i].shape)
                start += row.shape[1]
        return tuple(moved[i] for i in range(len(columns)))


def by(*keys: Any) -> Order:
    """The stable ascending order by columns (n,) of numbers or booleans, by the first, then by the next.

    Promise the range of a key (`argot.within`) where it is known: the cost grows with its bits.
    """
    jnp = lower.jax_module().numpy
    columns = [jnp.asarray(key) for key in keys]
    if not columns or any(x.ndim != 1 or x.shape != columns[0].shape for x in columns):
        raise InputError(f"keys of shapes {[x.shape for x in columns]}", wanted="columns of one length")
    return Order(columns[0].shape[0], lower.sort_order(columns))


def random(n: int) -> Order:
    """An order of n rows that nobody knows, every one equally likely; in plain JAX the operating system draws it."""
    return Order(n, lower.random_order(n))


def shuffle(*arrays: Any) -> Any:
    """The rows of all arrays, (n, ...), in one new order that nobody knows; a tuple if there are several."""
    shapes = [lower.jax_module().numpy.shape(x) for x in arrays]
    if not shapes or not shapes[0]:
        raise InputError(f"a shuffle of arrays of shapes {shapes}", wanted="arrays with rows")
    return random(shapes[0][0]).apply(*arrays)

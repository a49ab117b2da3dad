"""Sorting. An order is made once and followed by as many arrays as there are; equal elements keep their order."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....errors import UnsupportedError
from ...ir import PUBLIC
from ..builder import Builder, Ref
from ..example import bits, example, ints, reals


@example(lambda J, x: J.jnp.sort(x))
@example(lambda J, x: J.jnp.sort(x, axis=0), ints(9, 3, low=-3, high=3))
@example(lambda J, x: J.jnp.sort(x, descending=True), bits(70))
@example(lambda J, x: J.jnp.argsort(x, axis=1), ints(3, 9, low=0, high=3))
@example(lambda J, x: J.jnp.argsort(x, descending=True), ints(40, low=0, high=9))
@example(lambda J, x, y: J.jnp.lexsort((x, y)), reals(30), ints(30, low=0, high=4))
@example(lambda J, x, y: J.lax.sort((x, y), num_keys=1), ints(50, low=-5, high=5), reals(50))
@example(lambda J, x: (J.jnp.median(x), J.jnp.quantile(x, 0.3, axis=0), J.jnp.percentile(x, 90)), reals(21, 2))
def sort(b: Builder, *operands: Ref, dimension: int, num_keys: int = 1, **_: Any) -> list[Ref]:
    """All operands in the order of the first ones, along one axis; always stable."""
    axis = int(dimension)
    order = b.emit("order", *operands[:num_keys], axis=axis, descending=False)
    return [_follow(b, x, order, axis) for x in operands]


@example(lambda J, x: J.lax.top_k(x, 3))
@example(lambda J, x: J.lax.top_k(x, 5), ints(2, 9, low=0, high=4))
def top_k(b: Builder, x: Ref, *, k: int, axis: int = -1, **_: Any) -> list[Ref]:
    """The k largest along an axis and where they were, the first of equals first."""
    axis = int(axis) % len(x.type.shape)
    order = b.emit("order", x, axis=axis, descending=True)
    shape = x.type.shape
    found = [_follow(b, x, order, axis), b.emit("index_of", order, axis=axis, dtype="i32")]
    stop = tuple(int(k) if i == axis else n for i, n in enumerate(shape))
    return [b.emit("slice", y, starts=(0,) * len(shape), limits=stop, strides=(1,) * len(shape)) for y in found]


@example(lambda J, k, x: J.follow(J.order((k,)), x), ints(9, low=0, high=3), reals(9, 2))
@example(lambda J, k, x: J.follow(J.order((k[:, 0], k[:, 1])), x), ints(30, 2, low=0, high=3), bits(30))
def sort_order(b: Builder, *keys: Ref, **_: Any) -> Ref:
    """The stable order of rows by the first key, then by the next: `argot.order.by`."""
    return b.emit("order", *keys, axis=0, descending=False)


@example(lambda J, x: J.jnp.sort(J.follow(J.random_order(20), x)), ints(20))
def random_order(b: Builder, *_refs: Ref, n: int, **_: Any) -> Ref:
    """An order that nobody knows: `argot.order.random`."""
    b.draws += 1
    return b.emit("random_order", n=int(n), draw=b.draws)


@example(lambda J, k, x: J.follow(J.order((k,)), x, inverse=True), ints(9, low=0, high=3), reals(9, 2))
@example(lambda J, k, x: J.follow(J.order((k,)), x, inverse=True), reals(9), bits(9))
def follow_order(b: Builder, order: Ref, x: Ref, *, inverse: bool, **_: Any) -> Ref:
    """The rows of an array in an order, or back from it."""
    if order.type.dtype != "order":
        raise UnsupportedError(
            "rows in an order that is an array of numbers", wanted="argot.order.by, argot.order.random"
        )
    return b.emit("put_order" if inverse else "take_order", x, order, axis=0)


def _follow(b: Builder, x: Ref, order: Ref, axis: int) -> Ref:
    """x in that order. Positions in that order are the order itself."""
    if _positions(b, x, axis):
        return b.emit("index_of", order, axis=axis, dtype=x.type.dtype)
    return b.emit("take_order", x, order, axis=axis)


def _positions(b: Builder, x: Ref, axis: int) -> bool:
    """Whether x counts along the axis."""
    if x.visibility != PUBLIC or x.type.dtype in ("bool", "fixed"):
        return False
    op, _, attrs = b.producer(x)
    if op == "iota":
        return bool(attrs["axis"] == axis)
    if x.value is None:
        return False
    line = np.arange(x.type.shape[axis]).reshape([-1 if i == axis else 1 for i in range(len(x.type.shape))])
    return bool(np.array_equal(np.broadcast_to(x.value, x.type.shape), np.broadcast_to(line, x.type.shape)))

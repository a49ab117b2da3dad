"""Reductions, products of matrices, running sums."""

from __future__ import annotations

import operator
from collections.abc import Callable
from math import prod
from typing import Any

from ...ir import ir_dtype
from ..builder import Builder, Ref
from ..example import bits, example, ints, reals
from ..jax_adapter import jax
from ..written import written


def _axes(axes: Any) -> tuple[int, ...]:
    return tuple(sorted(map(int, axes)))


@example(lambda J, x: x.sum(0))
@example(lambda J, x: J.jnp.mean(x * x))
@example(lambda J, x: (x * x[::-1]).sum(1), reals(3, 4, 5))
@example(lambda J, x: x.sum(), ints(3, 4))
def reduce_sum(b: Builder, x: Ref, *, axes: Any, **_: Any) -> Ref:
    """Sums over axes; a sum of products is truncated once."""
    return b.emit("reduce_sum", x, axes=_axes(axes))


@example(lambda J, x: x.max(1))
@example(lambda J, x: x.max(), reals(13))
def reduce_max(b: Builder, x: Ref, *, axes: Any, **_: Any) -> Ref:
    """Maxima over axes, by a tree of comparisons."""
    return _extreme(b, "reduce_max", "reduce_or", x, axes)


@example(lambda J, x: x.min(0))
def reduce_min(b: Builder, x: Ref, *, axes: Any, **_: Any) -> Ref:
    """Minima over axes, by a tree of comparisons."""
    return _extreme(b, "reduce_min", "reduce_and", x, axes)


def _extreme(b: Builder, op: str, boolean: str, x: Ref, axes: Any) -> Ref:
    if x.type.dtype == "bool":
        return b.emit(boolean, x, axes=_axes(axes))
    return b.emit(op, x, axes=_axes(axes)) if axes else x


@example(lambda J, x: J.jnp.argmax(x, 1))
@example(lambda J, x: J.jnp.argmax(x), ints(11, low=0, high=3))
def argmax(b: Builder, x: Ref, *, axes: Any, index_dtype: Any, **_: Any) -> Ref:
    """The position of the first maximum."""
    return _arg(b, "argmax", x, axes, index_dtype)


@example(lambda J, x: J.jnp.argmin(x, 0), reals(5, 2))
def argmin(b: Builder, x: Ref, *, axes: Any, index_dtype: Any, **_: Any) -> Ref:
    """The position of the first minimum."""
    return _arg(b, "argmin", x, axes, index_dtype)


def _arg(b: Builder, op: str, x: Ref, axes: Any, dtype: Any) -> Ref:
    if x.type.dtype == "bool":
        x = b.emit("convert", x, dtype="i32")
    return b.emit(op, x, axis=int(axes[0]), dtype=ir_dtype(dtype))


@example(lambda J, x: J.jnp.prod(x, 0), reals(5, 2, low=-2, high=2))
@example(lambda J, x: J.jnp.nanprod(x, 0), reals(0, 2))
def reduce_prod(b: Builder, x: Ref, *, axes: Any, **_: Any) -> Ref:
    """Products over axes, by a tree; 1 of nothing."""
    if 0 in (x.type.shape[i] for i in _axes(axes)):
        return b.constant(1, x.type.with_shape([n for i, n in enumerate(x.type.shape) if i not in _axes(axes)]))
    return b.emit("reduce_prod", x, axes=_axes(axes))


@example(lambda J, x: x.all(1), bits(9, 3))
@example(lambda J, x: x.all(), bits(1))
@example(lambda J, x: J.jnp.bitwise_and.reduce(x), ints(5, 3))
def reduce_and(b: Builder, x: Ref, *, axes: Any, **_: Any) -> Ref | list[Ref]:
    """Whether all are true; of integers bit by bit."""
    if x.type.dtype != "bool":
        return _tree(b, operator.and_, -1, x, axes)
    return b.emit("reduce_and", x, axes=_axes(axes))


@example(lambda J, x: x.any(0), bits(5, 9))
@example(lambda J, x: J.jnp.bitwise_or.reduce(x, 1), ints(3, 6, dtype="int32"))
def reduce_or(b: Builder, x: Ref, *, axes: Any, **_: Any) -> Ref | list[Ref]:
    """Whether one is true; of integers bit by bit."""
    if x.type.dtype != "bool":
        return _tree(b, operator.or_, 0, x, axes)
    return b.emit("reduce_or", x, axes=_axes(axes))


@example(lambda J, x: J.jnp.bitwise_xor.reduce(x), ints(7, 3))
@example(lambda J, x: J.jnp.logical_xor.reduce(x, 1), bits(5, 9))
def reduce_xor(b: Builder, x: Ref, *, axes: Any, **_: Any) -> list[Ref]:
    """The parity of booleans; of integers bit by bit."""
    return _tree(b, operator.xor, 0, x, axes)


def _tree(b: Builder, op: Callable[[Any, Any], Any], neutral: int, x: Ref, axes: Any) -> list[Ref]:
    """A reduction by halves."""

    def fn(jnp: Any, x: Any) -> Any:
        kept = [a for a in range(x.ndim) if a not in axes]
        x = jnp.transpose(x, (*map(int, axes), *kept)).reshape((-1, *(x.shape[a] for a in kept)))
        if not len(x):
            return jnp.full(x.shape[1:], neutral, x.dtype)
        while len(x) > 1:
            half = len(x) // 2
            x = jnp.concatenate([op(x[:half], x[half : 2 * half]), x[2 * half :]])
        return x[0]

    return written(b, fn, x)


@example(lambda J, x: J.jnp.cumsum(x, 1))
@example(lambda J, x: J.lax.cumsum(x, 0, reverse=True))
def cumsum(b: Builder, x: Ref, *, axis: int, reverse: bool, **_: Any) -> Ref:
    """Running sums."""
    return b.emit("cumsum", x, axis=int(axis), reverse=bool(reverse))


@example(lambda J, x: J.jnp.cumprod(x, 1), reals(3, 7, low=-2, high=2))
@example(lambda J, x: J.lax.cumprod(x, 0, reverse=True), ints(9, 2, low=-3, high=4))
@example(lambda J, x: J.jax.grad(lambda v: J.jnp.cumprod(v).sum())(x), reals(5, low=0.5, high=2), rtol=1e-3, atol=1e-3)
def cumprod(b: Builder, x: Ref, *, axis: int, reverse: bool, **_: Any) -> Ref:
    """Running products, log2(n) deep."""
    return b.emit("cumprod", x, axis=int(axis), reverse=bool(reverse))


@example(lambda J, x: J.lax.cummax(x, 1), reals(3, 7))
@example(lambda J, x: J.lax.cummax(x, 0, reverse=True), ints(9, 2))
@example(lambda J, x: J.lax.cummax(J.within(x, -4, 4)), reals(1))
def cummax(b: Builder, x: Ref, *, axis: int, reverse: bool, **_: Any) -> Ref:
    """The largest so far, log2(n) deep."""
    return b.emit("cummax", x, axis=int(axis), reverse=bool(reverse))


@example(lambda J, x: J.lax.cummin(x, 1), reals(3, 7))
@example(lambda J, x: J.lax.cummin(x, 0, reverse=True), ints(16, 2))
def cummin(b: Builder, x: Ref, *, axis: int, reverse: bool, **_: Any) -> Ref:
    """The smallest so far, log2(n) deep."""
    return b.emit("cummin", x, axis=int(axis), reverse=bool(reverse))


@example(lambda J, x: J.lax.cumlogsumexp(x, 1), reals(3, 7), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.lax.cumlogsumexp(9 * x, 0, reverse=True), reals(5, 2), rtol=1e-3, atol=1e-3)
def cumlogsumexp(b: Builder, x: Ref, *, axis: int, reverse: bool, **_: Any) -> list[Ref]:
    """Logarithms of running sums of e^x, log2(n) deep, each relative to the largest so far."""
    lax = jax().lax
    return written(b, lambda jnp, x: lax.associative_scan(jnp.logaddexp, x, reverse=bool(reverse), axis=int(axis)), x)


@example(lambda J, x, y: x @ y, reals(3, 4), reals(4, 2))
@example(lambda J, x, y: x @ y, reals(4), reals(4))
@example(lambda J, x, y: J.jnp.einsum("bij,bkj->bki", x, y), reals(2, 3, 4), reals(2, 5, 4))
@example(lambda J, x, y: J.lax.dot_general(x, y, (((2, 0), (1, 2)), ((), ()))), reals(2, 3, 4), reals(5, 4, 2))
@example(lambda J, x, y: x @ y, ints(3, 4), ints(4, 2))
@example(lambda J, x: x @ J.jnp.array([[1.0, 0.5], [0.25, 2.0]]), reals(3, 2))
@example(lambda J, x, y: x @ (y > 0), reals(3, 4), reals(4, 2))
@example(lambda J, x, y: x @ y, reals(3, 4), ints(4, 2))
@example(lambda J, x, y: (x > 0) @ y, ints(3, 4), ints(4, 2))
@example(lambda J, x, y: (x > 1) @ (y > 1), reals(3, 4), reals(4, 2))
@example(lambda J, x, y: J.jnp.matmul(x, y, preferred_element_type="int64"), reals(3, 4), reals(4, 2))
def dot_general(
    b: Builder, x: Ref, y: Ref, *, dimension_numbers: Any, preferred_element_type: Any = None, **_: Any
) -> Ref:
    """Matrix products with any batch and contracted axes; each result of two real factors is truncated once."""
    wanted = x.type.dtype if preferred_element_type is None else ir_dtype(preferred_element_type)
    # Reals may be multiplied by whole numbers, and nothing is truncated then.
    whole = {"bool": "i32", "fixed": "i64"}.get(wanted, wanted)
    x, y = (v if v.type.dtype == "fixed" else _as(b, v, whole) for v in (x, y))
    (cx, cy), (bx, by) = ((tuple(map(int, p)) for p in pair) for pair in dimension_numbers)
    fx = tuple(a for a in range(len(x.type.shape)) if a not in cx and a not in bx)
    fy = tuple(a for a in range(len(y.type.shape)) if a not in cy and a not in by)
    batch = tuple(x.type.shape[a] for a in bx)
    rows, columns = tuple(x.type.shape[a] for a in fx), tuple(y.type.shape[a] for a in fy)
    inner = prod(x.type.shape[a] for a in cx)
    lead = (prod(batch),) if batch else ()
    left = b.emit("reshape", b.emit("transpose", x, axes=bx + fx + cx), shape=(*lead, prod(rows), inner))
    right = b.emit("reshape", b.emit("transpose", y, axes=by + cy + fy), shape=(*lead, inner, prod(columns)))
    return _as(b, b.emit("reshape", b.emit("matmul", left, right), shape=(*batch, *rows, *columns)), wanted)


def _as(b: Builder, x: Ref, dtype: str) -> Ref:
    return x if x.type.dtype == dtype else b.emit("convert", x, dtype=dtype)

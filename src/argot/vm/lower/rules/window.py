"""Sliding windows: convolutions and pooling. Most convolutions are an operation of their own. Other windows are laid
out as one slice for each of their places, which is free; what follows is one matrix product, or one reduction."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod
from typing import Any

import numpy as np

from ..builder import Builder, Ref
from ..example import example, ints, reals
from .structure import pad


@example(lambda J, x, w: J.lax.conv(x, w, (1, 1), "SAME"), reals(2, 3, 5, 4), reals(4, 3, 3, 2))
@example(lambda J, x, w: J.lax.conv(x, w, (2, 2), "SAME"), reals(2, 2, 22, 23, low=-1, high=1), reals(4, 2, 5, 5))
@example(lambda J, x, w: J.lax.conv(x, w, (1, 1), "SAME"), reals(2, 3, 5, 4), reals(4, 3, 3, 2, public=True))
@example(lambda J, x, w: J.lax.conv(x, w, (2,), "VALID"), reals(2, 3, 9, public=True), reals(4, 3, 2))
@example(lambda J, x: J.lax.conv(x, J.jnp.ones((4, 3, 2)), (1,), "VALID"), reals(2, 3, 9))
@example(lambda J, x, w: J.jnp.convolve(x, w), reals(9), reals(4))
@example(lambda J, x, w: J.lax.conv_general_dilated(x, w, (2,), [(3, 1)], (1,), (2,)), reals(1, 2, 9), reals(3, 2, 3))
@example(
    lambda J, x, w: J.lax.conv_general_dilated(
        x, w, (2, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=2
    ),
    reals(2, 6, 5, 4),
    reals(3, 2, 2, 6),
)
@example(lambda J, x, w: J.lax.conv_transpose(x, w, (2,), "SAME"), reals(2, 5, 3), reals(3, 3, 4))
@example(
    lambda J, x, w: J.jax.grad(lambda k: (J.lax.conv(x, k, (2, 1), "SAME") ** 2).sum())(w),
    reals(2, 2, 5, 4, low=-1, high=1),
    reals(4, 2, 3, 2, low=-1, high=1),
    rtol=1e-3,
    atol=1e-3,
)
@example(
    lambda J, x, w: J.lax.conv_general_dilated(x, w, (1,), "VALID", batch_group_count=2), reals(4, 3, 6), reals(6, 3, 2)
)
@example(lambda J, x, w: J.lax.conv(x, w, (1,), "VALID"), ints(2, 3, 6), ints(2, 3, 3))
def conv_general_dilated(
    b: Builder,
    x: Ref,
    w: Ref,
    *,
    window_strides: Any,
    padding: Any,
    lhs_dilation: Any,
    rhs_dilation: Any,
    dimension_numbers: Any,
    feature_group_count: int = 1,
    batch_group_count: int = 1,
    **_: Any,
) -> Ref:
    """Convolutions of any rank, with strides, padding, dilation and groups: `convolve` along one axis or two, with one
    stride and neither groups nor a dilated kernel; else one product of patches and kernel."""
    d = dimension_numbers
    x = b.emit("transpose", x, axes=tuple(map(int, d.lhs_spec)))  # batch, features, space
    w = b.emit("transpose", w, axes=tuple(map(int, d.rhs_spec)))  # out, in, space
    x, _edges = _padded(b, x, 0, [(0, 0), (0, 0), *padding], (1, 1, *lhs_dilation))
    groups = int(feature_group_count) * int(batch_group_count)
    dilated = any(int(apart) != 1 for apart in rhs_dilation)
    if groups == 1 and not dilated and _is_plain(x, w, window_strides):
        found = _convolved(b, x, w, int(window_strides[0]))
    else:
        found = _by_patches(b, x, w, window_strides, rhs_dilation, groups, int(batch_group_count) > 1)
    return b.emit("transpose", found, axes=tuple(d.out_spec.index(i) for i in range(len(d.out_spec))))


def _is_plain(x: Ref, w: Ref, strides: Sequence[Any]) -> bool:
    """Whether it is along one axis or two, with one stride, and of anything at all."""
    space, kernel = x.type.shape[2:], w.type.shape[2:]
    some = x.type.size > 0 < w.type.size and all(k <= n for k, n in zip(kernel, space, strict=True))
    return some and len(space) in (1, 2) and len(set(map(int, strides))) == 1


def _convolved(b: Builder, x: Ref, w: Ref, stride: int) -> Ref:
    """One operation; along one axis that of images of height 1."""
    line = len(x.type.shape) == 3
    if line:
        x, w = (b.emit("reshape", v, shape=(*v.type.shape[:2], 1, v.type.shape[2])) for v in (x, w))
    found = b.emit("convolve", x, w, stride=stride)
    return b.emit("reshape", found, shape=(*found.type.shape[:2], found.type.shape[3])) if line else found


def _by_patches(
    b: Builder, x: Ref, w: Ref, strides: Sequence[Any], apart: Sequence[Any], groups: int, of_batch: bool
) -> Ref:
    """A product of patches and kernels; the groups are of the batch, or of features."""
    outputs, inputs, *kernel = w.type.shape
    parts, space = _windows(b, x, (1, 1, *kernel), (1, 1, *strides), (1, 1, *apart))
    batch, features = x.type.shape[:2]
    places, size = prod(space[2:]), prod(kernel)
    flat = [b.emit("reshape", part, shape=(batch, features, 1, places)) for part in parts]
    patches = flat[0] if len(flat) == 1 else b.emit("concat", *flat, axis=2)
    if of_batch:
        batch //= groups
        patches = b.emit("reshape", patches, shape=(groups, batch, inputs, size, places))
        patches = b.emit("transpose", patches, axes=(0, 1, 4, 2, 3))
    else:
        patches = b.emit("reshape", patches, shape=(batch, groups, inputs, size, places))
        patches = b.emit("transpose", patches, axes=(1, 0, 4, 2, 3))
    left = b.emit("reshape", patches, shape=(groups, batch * places, inputs * size))
    right = b.emit("reshape", w, shape=(groups, outputs // groups, inputs * size))
    found = b.emit("matmul", left, b.emit("transpose", right, axes=(0, 2, 1)))
    found = b.emit("reshape", found, shape=(groups, batch, places, outputs // groups))
    return b.emit("reshape", b.emit("transpose", found, axes=(1, 0, 3, 2)), shape=(batch, outputs, *space[2:]))


@example(lambda J, x: J.lax.reduce_window(x, 0.0, J.lax.add, (2, 3), (1, 2), "SAME"), reals(5, 6))
@example(lambda J, x: J.lax.reduce_window(x, 0, J.lax.add, (3,), (1,), "VALID", (1,), (2,)), ints(9))
def reduce_window_sum(b: Builder, x: Ref, **params: Any) -> Ref:
    """Sums over windows (average pooling)."""
    return _reduced(b, "reduce_sum", x, 0, **params)


@example(lambda J, x: J.lax.reduce_window(x, -J.jnp.inf, J.lax.max, (1, 2, 2), (1, 2, 2), "SAME"), reals(2, 5, 4))
@example(lambda J, x: J.lax.reduce_window(x, -(2**63), J.lax.max, (2,), (1,), "SAME"), ints(9))
def reduce_window_max(b: Builder, x: Ref, **params: Any) -> Ref:
    """Maxima over windows (max pooling)."""
    return _reduced(b, "reduce_max", x, _end(x, -1), **params)


@example(lambda J, x: J.lax.reduce_window(x, J.jnp.inf, J.lax.min, (2, 2), (1, 1), "VALID"), reals(4, 4))
def reduce_window_min(b: Builder, x: Ref, **params: Any) -> Ref:
    """Minima over windows."""
    return _reduced(b, "reduce_min", x, _end(x, 1), **params)


def _reduced(
    b: Builder,
    op: str,
    x: Ref,
    fill: float,
    *,
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
    base_dilation: Any = None,
    window_dilation: Any = None,
    **_: Any,
) -> Ref:
    rank = len(x.type.shape)
    base, apart = base_dilation or (1,) * rank, window_dilation or (1,) * rank
    x, _edges = _padded(b, x, fill, padding, base)
    parts = _windows(b, x, window_dimensions, window_strides, apart)[0]
    return parts[0] if len(parts) == 1 else b.emit(op, _stacked(b, parts), axes=(0,))


@example(
    lambda J, x: J.jax.grad(
        lambda v: (J.lax.reduce_window(v, -J.jnp.inf, J.lax.max, (1, 2, 2), (1, 2, 2), "SAME") ** 2).sum()
    )(x),
    reals(2, 5, 4),
)
@example(
    lambda J, x: J.jax.grad(lambda v: (J.lax.reduce_window(v, -J.jnp.inf, J.lax.max, (3,), (1,), "VALID") ** 2).sum())(
        x
    ),
    reals(9),
)
def select_and_scatter_add(
    b: Builder,
    source: Ref,
    x: Ref,
    *,
    select_prim: Any,
    window_dimensions: Any,
    window_strides: Any,
    padding: Any,
    **_: Any,
) -> Ref:
    """The derivative of max pooling: each value goes to the first place of its window that has the maximum."""
    largest = select_prim.name in ("ge", "gt")
    strides = tuple(map(int, window_strides))
    x, edges = _padded(b, x, _end(x, -1 if largest else 1), padding, (1,) * len(strides))
    parts, space = _windows(b, x, window_dimensions, strides, (1,) * len(strides))
    which = b.emit("argmax" if largest else "argmin", _stacked(b, parts), axis=0, dtype="i32")
    total: Ref | None = None
    for k, offset in enumerate(product(*map(range, map(int, window_dimensions)))):
        here = b.emit("eq", which, b.constant(k, which.type))
        part = b.emit("select", here, source, b.constant(0, source.type))
        ends = [n - (o + (m - 1) * s + 1) for n, o, m, s in zip(x.type.shape, offset, space, strides, strict=True)]
        part = b.emit("pad", part, low=tuple(offset), high=tuple(ends), interior=tuple(s - 1 for s in strides))
        total = part if total is None else b.emit("add", total, part)
    assert total is not None
    limits = tuple(n - edge[1] for n, edge in zip(total.type.shape, edges, strict=True))
    starts = tuple(edge[0] for edge in edges)
    return b.emit("slice", total, starts=starts, limits=limits, strides=(1,) * len(starts))


def _padded(
    b: Builder, x: Ref, fill: float, padding: Sequence[Any], dilation: Sequence[int]
) -> tuple[Ref, list[tuple[int, int, int]]]:
    """x with `fill` around its elements and between them, and how many before, behind and between along each axis."""
    edges = [(int(a), int(z), int(s) - 1) for (a, z), s in zip(padding, dilation, strict=True)]
    if any(any(edge) for edge in edges):
        x = pad(b, x, b.constant(fill, x.type.with_shape(())), padding_config=edges)
    return x, edges


def _windows(
    b: Builder, x: Ref, sizes: Sequence[int], strides: Sequence[int], apart: Sequence[int]
) -> tuple[list[Ref], tuple[int, ...]]:
    """For each place in a window the elements of all windows there, and the shape of that."""
    sizes, strides, apart = ([int(n) for n in numbers] for numbers in (sizes, strides, apart))
    reach = [(size - 1) * step + 1 for size, step in zip(sizes, apart, strict=True)]
    space = tuple(max(n - r, -s) // s + 1 for n, r, s in zip(x.type.shape, reach, strides, strict=True))
    parts = []
    for place in product(*map(range, sizes)):
        starts = tuple(i * step for i, step in zip(place, apart, strict=True))
        limits = tuple(a + (m - 1) * s + 1 if m else a for a, m, s in zip(starts, space, strides, strict=True))
        parts.append(b.emit("slice", x, starts=starts, limits=limits, strides=tuple(strides)))
    return parts, space


def _stacked(b: Builder, parts: Sequence[Ref]) -> Ref:
    rows = [b.emit("reshape", part, shape=(1, *part.type.shape)) for part in parts]
    return rows[0] if len(rows) == 1 else b.emit("concat", *rows, axis=0)


def _end(x: Ref, sign: int) -> float:
    """A number beyond all others, of which a difference still fits the ring."""
    if x.type.dtype == "fixed":
        return sign * np.inf
    return sign * min(2**40, int(np.iinfo(x.type.numpy).max))

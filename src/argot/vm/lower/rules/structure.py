"""Primitives that move elements: free on shares. Indices are public."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import numpy as np

from ....errors import UnsupportedError
from ...ir import PUBLIC, TensorType, ir_dtype
from .. import jax_adapter, secret_index
from ..builder import Builder, Ref
from ..example import bits, example, ints, reals


@example(lambda J, x: x.reshape(2, -1))
@example(lambda J, x: x.reshape(5, 13), bits(13, 5))
def reshape(b: Builder, x: Ref, *, new_sizes: Any, dimensions: Any = None, **_: Any) -> Ref:
    """The same elements in another shape."""
    if dimensions is not None:
        x = b.emit("transpose", x, axes=tuple(dimensions))
    return b.emit("reshape", x, shape=tuple(map(int, new_sizes)))


@example(lambda J, x: J.jnp.transpose(x, (2, 0, 1)), reals(2, 3, 4))
@example(lambda J, x: x.T, bits(13, 5))
def transpose(b: Builder, x: Ref, *, permutation: Any, **_: Any) -> Ref:
    """Axes in another order."""
    return b.emit("transpose", x, axes=tuple(map(int, permutation)))


@example(lambda J, x: J.jnp.broadcast_to(x[:, None], (3, 2)), reals(3))
@example(lambda J, x: J.lax.broadcast_in_dim(x, (2, 3, 70), (2,)), bits(70))
def broadcast_in_dim(b: Builder, x: Ref, *, shape: Any, broadcast_dimensions: Any, **_: Any) -> Ref:
    """Repeated along new axes and axes of length 1."""
    return b.emit("broadcast", x, shape=tuple(map(int, shape)), dims=tuple(map(int, broadcast_dimensions)))


@example(lambda J, x: J.jnp.squeeze(x), reals(1, 3, 1))
def squeeze(b: Builder, x: Ref, *, dimensions: Any, **_: Any) -> Ref:
    """Without axes of length 1."""
    shape = tuple(n for a, n in enumerate(x.type.shape) if a not in dimensions)
    return b.emit("reshape", x, shape=shape)


@example(lambda J, x: J.jnp.expand_dims(x, 1), reals(3))
def expand_dims(b: Builder, x: Ref, *, dimensions: Any, **_: Any) -> Ref:
    """With new axes of length 1."""
    shape = list(x.type.shape)
    for a in sorted(dimensions):
        shape.insert(a, 1)
    return b.emit("reshape", x, shape=tuple(shape))


@example(lambda J, x: x[::2, 1:3], reals(5, 4))
@example(lambda J, x: x[1::3, 2:], bits(7, 9))
def slice_(b: Builder, x: Ref, *, start_indices: Any, limit_indices: Any, strides: Any, **_: Any) -> Ref:
    """A static slice."""
    steps = (1,) * len(x.type.shape) if strides is None else tuple(map(int, strides))
    return b.emit(
        "slice", x, starts=tuple(map(int, start_indices)), limits=tuple(map(int, limit_indices)), strides=steps
    )


@example(lambda J, x: J.jnp.flip(x, 0))
@example(lambda J, x: x[::-1], bits(70))
def rev(b: Builder, x: Ref, *, dimensions: Any, **_: Any) -> Ref:
    """Axes in reverse order."""
    return b.emit("reverse", x, axes=tuple(map(int, dimensions)))


@example(lambda J, x, y: J.jnp.concatenate([x, y], 1), reals(2, 3), reals(2, 1))
@example(lambda J, x, y: J.jnp.concatenate([x, y, x]), bits(63), bits(2))
@example(lambda J, x: J.jnp.concatenate([x, J.jnp.ones(2)]), reals(3))
def concatenate(b: Builder, *xs: Ref, dimension: int, **_: Any) -> Ref:
    """Arrays joined along an axis."""
    return b.emit("concat", *xs, axis=int(dimension))


@example(lambda J, x, y: J.jnp.stack([x, y], 1), reals(3), reals(3))
def stack(b: Builder, *xs: Ref, axis: int, **_: Any) -> Ref:
    """Arrays joined along a new axis."""
    shape = (*xs[0].type.shape[:axis], 1, *xs[0].type.shape[axis:])
    return b.emit("concat", *(b.emit("reshape", x, shape=shape) for x in xs), axis=int(axis))


@example(lambda J, x: J.jnp.tile(x, (2, 3)), reals(2, 2))
def tile(b: Builder, x: Ref, *, reps: Any, **_: Any) -> Ref:
    """An array repeated along its axes."""
    lead = (1,) * (len(reps) - len(x.type.shape))
    shape = (*lead, *x.type.shape)
    wide = tuple(n for r, s in zip(reps, shape, strict=True) for n in (int(r), s))
    dims = tuple(2 * i + 1 for i in range(len(shape)))
    x = b.emit("broadcast", b.emit("reshape", x, shape=shape), shape=wide, dims=dims)
    return b.emit("reshape", x, shape=tuple(int(r) * s for r, s in zip(reps, shape, strict=True)))


@example(lambda J, x: J.jnp.split(x, [1, 3])[1], reals(5))
def split(b: Builder, x: Ref, *, sizes: Any, axis: int, **_: Any) -> list[Ref]:
    """An array cut along an axis."""
    parts, rank = [], len(x.type.shape)
    for end, size in zip(accumulate(sizes), sizes, strict=True):
        starts = tuple(int(end - size) if a == axis else 0 for a in range(rank))
        limits = tuple(int(end) if a == axis else n for a, n in enumerate(x.type.shape))
        parts.append(b.emit("slice", x, starts=starts, limits=limits, strides=(1,) * rank))
    return parts


@example(lambda J, x: J.jnp.pad(x, ((1, 2), (0, 1)), constant_values=3.0), reals(2, 3))
@example(lambda J, x: J.lax.pad(x, 0.0, ((-1, 1, 1), (2, -1, 0))), reals(3, 3))
@example(lambda J, x: J.lax.pad(x, True, ((1, 70, 2),)), bits(5))
def pad(b: Builder, x: Ref, fill: Ref, *, padding_config: Any, **_: Any) -> Ref:
    """An array with a value around and between its elements; negative padding removes some."""
    low, high, inner = ([int(p[i]) for p in padding_config] for i in range(3))
    up = tuple(max(n, 0) for n in low), tuple(max(n, 0) for n in high), tuple(inner)
    wide = b.emit("pad", x, low=up[0], high=up[1], interior=up[2])
    if not fill.is_uniform(0):
        whole = b.constant(True, TensorType("bool", x.type.shape))
        inside = b.emit("pad", whole, low=up[0], high=up[1], interior=up[2])
        wide = b.emit("select", inside, wide, b.emit("broadcast", fill, shape=wide.type.shape, dims=()))
    starts = tuple(max(-n, 0) for n in low)
    limits = tuple(max(n - max(-h, 0), s) for n, h, s in zip(wide.type.shape, high, starts, strict=True))
    return b.emit("slice", wide, starts=starts, limits=limits, strides=(1,) * len(starts))


@example(lambda J, x: x + J.jnp.arange(4.0))
@example(lambda J, x: (x * J.lax.broadcasted_iota(int, (3, 4), 0)).sum())
def iota(b: Builder, *_refs: Ref, dtype: Any, shape: Any, dimension: int, **_: Any) -> Ref:
    """0, 1, 2... along an axis."""
    return b.emit("iota", dtype=ir_dtype(dtype), shape=tuple(map(int, shape)), axis=int(dimension))


# ---- indexing -------------------------------------------------------------------------------------------------------


@example(lambda J, x, i: J.lax.dynamic_slice(x, (i, 1), (2, 2)), reals(4, 4), ints(low=0, high=4, public=True))
@example(lambda J, x, i: x[i], bits(70, 3), ints(low=0, high=60, public=True))
@example(lambda J, x, i, j: J.lax.dynamic_slice(x, (i, j), (2, 3)), reals(4, 5), ints(low=-2, high=5), ints())
@example(lambda J, x, i: J.lax.dynamic_index_in_dim(x, i, 1), bits(3, 9), ints(low=0, high=9))
def dynamic_slice(b: Builder, x: Ref, *starts: Ref, slice_sizes: Any, **_: Any) -> Ref:
    """A window; at secret indices a product with one-hot rows."""
    if any(i.visibility != PUBLIC for i in starts):
        return secret_index.dynamic_slice(b, x, starts, tuple(map(int, slice_sizes)))
    return b.emit("dynamic_slice", x, *starts, sizes=tuple(map(int, slice_sizes)))


@example(
    lambda J, x, y, i: J.lax.dynamic_update_slice(x, y, (i, 1)),
    reals(4, 4),
    reals(2, 2),
    ints(low=0, high=4, public=True),
)
@example(lambda J, x, y, i, j: J.lax.dynamic_update_slice(x, y, (i, j)), reals(4, 5), reals(2, 3), *2 * (ints(),))
@example(lambda J, x, y, i: J.lax.dynamic_update_index_in_dim(x, y, i, 1), bits(3, 5), bits(3), ints(low=0, high=5))
def dynamic_update_slice(b: Builder, x: Ref, update: Ref, *starts: Ref, **_: Any) -> Ref:
    """A window replaced; at secret indices by products with one-hot rows."""
    if any(i.visibility != PUBLIC for i in starts):
        return secret_index.dynamic_update_slice(b, x, update, starts)
    return b.emit("dynamic_update", x, update, *starts)


def _clip(mode: Any) -> bool:
    return "CLIP" in str(mode).upper() or "PROMISE" in str(mode).upper()


@example(lambda J, x: x[J.jnp.array([3, 0, 3])], reals(4, 3))
@example(lambda J, x, i: x[i, J.jnp.array([1, 0])], reals(4, 3), ints(2, low=0, high=4, public=True))
@example(lambda J, x, i: x.at[i].get(mode="fill", fill_value=7.0), reals(4), ints(6, public=True))
@example(lambda J, x, i: J.jax.vmap(lambda r, j: r[j])(x, i), reals(4, 3), ints(4, low=0, high=3, public=True))
@example(lambda J, x: x[J.jnp.array([2, 0])], bits(4, 33))
@example(lambda J, x, i: x[i], reals(6, 2), ints(3, low=0, high=6))
@example(lambda J, x, i: J.jnp.take(x, i, axis=1), bits(3, 7), ints(2, 2, low=0, high=7))
@example(lambda J, x, i, j: x[i, :, j], ints(4, 2, 3), ints(5, low=0, high=4), ints(5, low=0, high=3))
@example(lambda J, x, i: J.jax.vmap(lambda r, j: r[j])(x, i), reals(4, 3, 2), ints(4, low=0, high=3))
@example(lambda J, x, i: J.jnp.take_along_axis(x, i, axis=1), reals(2, 5), ints(2, 3, low=0, high=5))
@example(lambda J, x, y: J.jnp.searchsorted(J.jnp.sort(x), y), reals(9), reals(4))
def gather(
    b: Builder, x: Ref, indices: Ref, *, dimension_numbers: Any, slice_sizes: Any, mode: Any, fill_value: Any = None,
    **_: Any,
) -> Ref:  # fmt: skip
    """Windows (`x[i]`, `jnp.take`); a fill value where they stick out, NaN being 0. At secret indices single elements
    or rows, by a product with one-hot rows; 0 where they stick out."""
    d = jax_adapter.numbers(dimension_numbers)
    if indices.visibility != PUBLIC:
        return secret_index.gather(b, x, indices, d, tuple(map(int, slice_sizes)))
    places = b.emit(
        "positions",
        indices,
        shape=x.type.shape,
        sizes=tuple(map(int, slice_sizes)),
        offset_dims=d["offset_dims"],
        collapsed=d["collapsed_slice_dims"],
        start_map=d["start_index_map"],
        batching=d.get("operand_batching_dims", ()),
        index_batching=d.get("start_indices_batching_dims", ()),
        clip=_clip(mode),
    )
    found = b.emit("take", x, places)
    fill = 0 if fill_value is None or not np.isfinite(fill_value) else fill_value
    if _clip(mode) or fill == 0:
        return found
    outside = b.emit("lt", places, b.constant(0, places.type))
    return b.emit("select", outside, b.constant(fill, found.type), found)


def _update(
    b: Builder, op: str, x: Ref, indices: Ref, updates: Ref, *, dimension_numbers: Any, mode: Any = None, **_: Any
) -> Ref:
    d = jax_adapter.numbers(dimension_numbers)
    if indices.visibility != PUBLIC:
        return secret_index.scatter(b, op, x, indices, updates, d)
    window = iter(updates.type.shape[a] for a in d["update_window_dims"])
    batching = d.get("operand_batching_dims", ())
    dropped = (*d["inserted_window_dims"], *batching)
    sizes = tuple(1 if a in dropped else next(window) for a in range(len(x.type.shape)))
    places = b.emit(
        "positions",
        indices,
        shape=x.type.shape,
        sizes=sizes,
        offset_dims=d["update_window_dims"],
        collapsed=d["inserted_window_dims"],
        start_map=d["scatter_dims_to_operand_dims"],
        batching=batching,
        index_batching=d.get("scatter_indices_batching_dims", ()),
        clip="CLIP" in str(mode).upper(),
    )
    return b.emit(op, x, places, updates)


@example(lambda J, x: x.at[1].set(5.0), reals(4, 3))
@example(lambda J, x, y, i: x.at[i].set(y), reals(4, 3), reals(3), ints(low=0, high=4, public=True))
@example(lambda J, x: x.at[J.jnp.array([0, 69])].set(True), bits(70))
@example(lambda J, x, i: x.at[i].set(7.0), reals(5, 2), ints(low=0, high=5))
@example(lambda J, x, i, y: x.at[1, i].set(y), ints(2, 6), ints(1, low=0, high=6), ints(1))
def scatter(b: Builder, x: Ref, indices: Ref, updates: Ref, *, update_jaxpr: Any = None, **params: Any) -> Ref:
    """Elements replaced (`x.at[i].set(y)`); at most 64 at secret indices."""
    if update_jaxpr is not None and jax_adapter.read(update_jaxpr).equations:
        raise UnsupportedError(
            "`.at[i].apply(f)`", wanted="`.at[i].set`", todo="write x.at[i].set(f(x[i]))", where=b.where or None
        )
    return _update(b, "put", x, indices, updates, **params)


@example(lambda J, x: x.at[J.jnp.array([1, 1, 0])].add(J.jnp.array([1.0, 2.0, 3.0])), reals(4))
@example(lambda J, x: J.jax.grad(lambda v: (v[J.jnp.array([2, 0, 2])] ** 2).sum())(x), reals(4, 3))
@example(lambda J, x, i: x.at[i].add(x), reals(6), ints(6, low=0, high=6, public=True))
@example(lambda J, x, i: x.at[i].add(x), reals(6, 2), ints(6, low=0, high=6))
@example(lambda J, i: J.jnp.bincount(i, length=7), ints(20, low=0, high=7))
def scatter_add(b: Builder, x: Ref, indices: Ref, updates: Ref, **params: Any) -> Ref:
    """Values added (`x.at[i].add(y)`, and derivatives of indexing); at secret indices by one-hot rows."""
    return _update(b, "put_add", x, indices, updates, **params)


@example(lambda J, x: x.at[J.jnp.array([1, 1, 0])].subtract(J.jnp.array([1.0, 2.0, 3.0])), reals(4))
@example(lambda J, x, i: x.at[i].subtract(x), reals(6, 2), ints(6, low=0, high=6))
def scatter_sub(b: Builder, x: Ref, indices: Ref, updates: Ref, **params: Any) -> Ref:
    """Values subtracted (`x.at[i].subtract(y)`)."""
    return _update(b, "put_add", x, indices, b.emit("neg", updates), **params)


@example(lambda J, x: x.at[J.jnp.array([1, 1, 0, 1])].multiply(J.jnp.array([1.5, 2.0, 3.0, 0.5])), reals(4))
@example(lambda J, x, y, i: x.at[i].multiply(y), ints(6), ints(9), ints(9, low=0, high=7, public=True))
@example(lambda J, x: x.at[1].divide(4.0), reals(4))
@example(lambda J, x, y, i: x.at[i].multiply(y), reals(4, 2), reals(3, 2), ints(3, low=0, high=4))
def scatter_mul(b: Builder, x: Ref, indices: Ref, updates: Ref, **params: Any) -> Ref:
    """Elements multiplied (`x.at[i].multiply(y)`); at most 64 at secret indices."""
    return _update(b, "put_mul", x, indices, updates, **params)


@example(lambda J, x, y, i: x.at[i].max(y), reals(6), reals(20), ints(20, low=0, high=8, public=True))
@example(lambda J, x: x.at[J.jnp.array([2, 0])].max(0), ints(4, 3))
@example(lambda J, x, y, i: x.at[i].max(y), ints(6), ints(9), ints(9, low=0, high=6))
def scatter_max(b: Builder, x: Ref, indices: Ref, updates: Ref, **params: Any) -> Ref:
    """Elements, or updates that are larger (`x.at[i].max(y)`); at most 64 at secret indices."""
    return _update(b, "put_max", x, indices, updates, **params)


@example(lambda J, x, y, i: x.at[i].min(y), reals(6), reals(20), ints(20, low=0, high=8, public=True))
@example(lambda J, x: x.at[J.jnp.array([2, 0])].min(0.5), reals(4, 3))
@example(lambda J, x, y, i: x.at[i].min(y), reals(6), reals(9), ints(9, low=0, high=6))
def scatter_min(b: Builder, x: Ref, indices: Ref, updates: Ref, **params: Any) -> Ref:
    """Elements, or updates that are smaller (`x.at[i].min(y)`); at most 64 at secret indices."""
    return _update(b, "put_min", x, indices, updates, **params)

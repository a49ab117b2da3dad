"""Indexing at secret places: a product with one-hot rows, which costs as much as there are places.

An index outside of the array selects nothing: zero, or no update.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...errors import UnsupportedError
from ..ir import TensorType
from .builder import Builder, Ref
from .rules.elementwise import max_, min_

MOST_UPDATES = 64
"""Updates that may replace elements at secret places, one after the other."""


@dataclass(frozen=True)
class _Axes:
    """Which axes of an array are indexed, by which numbers of an index, which are batches, which are taken whole."""

    indexed: tuple[int, ...]
    numbers: tuple[int, ...]
    batching: tuple[int, ...]
    whole: tuple[int, ...]

    @property
    def order(self) -> tuple[int, ...]:
        return (*self.batching, *self.indexed, *self.whole)


def gather(b: Builder, x: Ref, indices: Ref, d: dict[str, tuple[int, ...]], sizes: Sequence[int]) -> Ref:
    """`lax.gather` of single places along the indexed axes."""
    shape = x.type.shape
    batching = tuple(d.get("operand_batching_dims", ()))
    axes = _axes(b, shape, d["start_index_map"], batching, sizes)
    code, lead, rest = _code(b, indices, shape, axes, tuple(d.get("start_indices_batching_dims", ())))
    batch = tuple(shape[a] for a in batching)
    n, width = prod(shape[a] for a in axes.indexed), tuple(shape[a] for a in axes.whole)
    rows = b.emit("reshape", b.emit("transpose", x, axes=axes.order), shape=(prod(batch), n, prod(width)))
    found = _product(b, code, rows)
    # Axes of the indices as they were, then those of the window, of which indexed ones may stay with length 1.
    found = b.emit("reshape", found, shape=(*batch, *rest, *width))
    count, kept = len(batch) + len(rest), [a for a in range(len(shape)) if a not in d["collapsed_slice_dims"]]
    window = [a for a in kept if a not in batching]
    found = b.emit("transpose", found, axes=(*np.argsort(lead).tolist(), *range(count, count + len(width))))
    leading = found.type.shape[:count]
    found = b.emit("reshape", found, shape=(*leading, *(shape[a] if a in axes.whole else 1 for a in window)))
    rank = len(found.type.shape)
    offsets = [int(a) for a in d["offset_dims"]]
    others = [a for a in range(rank) if a not in offsets]
    return b.emit("transpose", found, axes=tuple(np.argsort([*others, *offsets]).tolist()))


def scatter(b: Builder, op: str, x: Ref, indices: Ref, updates: Ref, d: dict[str, tuple[int, ...]]) -> Ref:
    """`lax.scatter` ("put"), `lax.scatter_add` ("put_add") and their like at single places along the indexed axes."""
    shape = x.type.shape
    batching = tuple(d.get("operand_batching_dims", ()))
    inserted, windows = (*d["inserted_window_dims"], *batching), list(d["update_window_dims"])
    window = [a for a in range(len(shape)) if a not in inserted]
    sizes = [1] * len(shape)
    for a, at in zip(window, windows, strict=True):
        sizes[a] = updates.type.shape[at]
    axes = _axes(b, shape, d["scatter_dims_to_operand_dims"], batching, sizes)
    code, lead, rest = _code(b, indices, shape, axes, tuple(d.get("scatter_indices_batching_dims", ())))
    batch = tuple(shape[a] for a in batching)
    n, width = prod(shape[a] for a in axes.indexed), tuple(shape[a] for a in axes.whole)
    others = [a for a in range(len(updates.type.shape)) if a not in windows]
    values = b.emit("transpose", updates, axes=(*(others[i] for i in lead), *windows))
    values = b.emit("reshape", values, shape=(prod(batch), prod(rest), prod(width)))
    rows = b.emit("reshape", b.emit("transpose", x, axes=axes.order), shape=(prod(batch), n, prod(width)))
    if op == "put_add":
        found = b.emit("add", rows, _product(b, b.emit("transpose", code, axes=(0, 2, 1)), values))
    else:
        found = _updated(b, op, rows, code, values)
    found = b.emit("reshape", found, shape=tuple(shape[a] for a in axes.order))
    return b.emit("transpose", found, axes=tuple(np.argsort(axes.order).tolist()))


def dynamic_slice(b: Builder, x: Ref, starts: Sequence[Ref], sizes: Sequence[int]) -> Ref:
    """A window at secret indices, which are brought into the array as JAX does it."""
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        n = x.type.shape[axis]
        count = n - size + 1
        if count == 1:
            continue
        code = one_hot(b, b.emit("reshape", _within(b, start, count - 1), shape=(1, 1)), count)
        front = (axis, *(a for a in range(len(x.type.shape)) if a != axis))
        x = b.emit("transpose", x, axes=front)
        rest = x.type.shape[1:]
        parts = []
        for j in range(size):
            ends = (0,) * len(rest)
            part = b.emit("slice", x, starts=(j, *ends), limits=(j + count, *rest), strides=(1,) * len(x.type.shape))
            parts.append(b.emit("reshape", part, shape=(1, count, prod(rest))))
        wide = parts[0] if size == 1 else b.emit("concat", *parts, axis=2)
        found = b.emit("reshape", _product(b, code, wide), shape=(size, *rest))
        x = b.emit("transpose", found, axes=tuple(np.argsort(front).tolist()))
    return x


def one_hot(b: Builder, index: Ref, n: int) -> Ref:
    """For each index n booleans, of which that one is true."""
    shape = (*index.type.shape, n)
    index = b.emit("broadcast", index, shape=shape, dims=tuple(range(len(shape) - 1)))
    line = b.emit("iota", dtype=index.type.dtype, shape=shape, axis=len(shape) - 1)
    return b.emit("eq", index, line)


def _product(b: Builder, code: Ref, rows: Ref) -> Ref:
    """(batch, m, n) booleans, one of them true in each row, times (batch, n, width)."""
    if rows.type.dtype != "bool":
        # Reals too are multiplied by whole numbers: nothing is truncated, and whatever can be encoded is right.
        dtype = "i32" if rows.type.dtype == "fixed" else rows.type.dtype
        return b.emit("matmul", b.emit("convert", code, dtype=dtype), rows)
    batch, m, n = code.type.shape
    shape = (batch, m, n, rows.type.shape[2])
    code = b.emit("broadcast", code, shape=shape, dims=(0, 1, 2))
    return b.emit("reduce_or", b.emit("and", code, b.emit("broadcast", rows, shape=shape, dims=(0, 2, 3))), axes=(2,))


def dynamic_update_slice(b: Builder, x: Ref, update: Ref, starts: Sequence[Ref]) -> Ref:
    """A window at secret indices replaced: along each axis the update is moved to its place by a product, and where it
    then lies is known the same way."""
    inside = b.constant(True, TensorType("bool", update.type.shape))
    for axis, start in enumerate(starts):
        n, size = x.type.shape[axis], update.type.shape[axis]
        code = one_hot(b, b.emit("reshape", _within(b, start, n - size), shape=(1, 1)), n - size + 1)
        code = b.emit("reshape", code, shape=(n - size + 1,))
        columns = [b.emit("pad", code, low=(i,), high=(size - 1 - i,), interior=(0,)) for i in range(size)]
        columns = [b.emit("reshape", column, shape=(1, n, 1)) for column in columns]
        places = columns[0] if size == 1 else b.emit("concat", *columns, axis=2)
        update, inside = (_placed(b, axis, places, v) for v in (update, inside))
    return b.emit("select", inside, update, x)


def _placed(b: Builder, axis: int, places: Ref, x: Ref) -> Ref:
    """An axis of x made as long as there are rows of `places`, each of which says what goes there, if anything."""
    front = (axis, *(a for a in range(len(x.type.shape)) if a != axis))
    moved = b.emit("transpose", x, axes=front)
    rest = moved.type.shape[1:]
    found = _product(b, places, b.emit("reshape", moved, shape=(1, moved.type.shape[0], prod(rest))))
    found = b.emit("reshape", found, shape=(places.type.shape[1], *rest))
    return b.emit("transpose", found, axes=tuple(np.argsort(front).tolist()))


def _within(b: Builder, start: Ref, last: int) -> Ref:
    """A start moved between 0 and the last one at which the window is inside, as JAX does it."""
    if last == 0:
        return b.constant(0, start.type)
    return min_(b, max_(b, start, b.constant(0, start.type)), b.constant(last, start.type))


def _changed(b: Builder, op: str, old: Ref, new: Ref) -> Ref:
    match op:
        case "put":
            return new
        case "put_mul":
            return b.settle(b.emit("mul", old, new))
        case "put_max":
            return max_(b, old, new)
        case _:
            return min_(b, old, new)


def _updated(b: Builder, op: str, rows: Ref, code: Ref, values: Ref) -> Ref:
    """Rows of which those that the code names are replaced, or changed, one update after the other."""
    batch, m, n = code.type.shape
    if m > MOST_UPDATES:
        raise UnsupportedError(
            f"{m} updates at indices that are not public",
            wanted=f"at most {MOST_UPDATES}, or public indices",
            todo="x.at[i].add(y) has no limit",
            where=b.where or None,
        )
    for i in range(m):
        here, value = (
            b.emit("slice", v, starts=(0, i, 0), limits=(batch, i + 1, v.type.shape[2]), strides=(1, 1, 1))
            for v in (code, values)
        )
        here = b.emit("reshape", here, shape=(batch, n, 1))
        here = b.emit("broadcast", here, shape=rows.type.shape, dims=(0, 1, 2))
        value = b.emit("broadcast", value, shape=rows.type.shape, dims=(0, 1, 2))
        rows = b.emit("select", here, _changed(b, op, rows, value), rows)
    return rows


def _axes(
    b: Builder, shape: tuple[int, ...], indexed: Sequence[int], batching: tuple[int, ...], sizes: Sequence[int]
) -> _Axes:
    # Where an axis is taken whole, no index but 0 is in the array.
    chosen = [(int(a), k) for k, a in enumerate(indexed) if sizes[a] != shape[a]]
    indexed, numbers = tuple(a for a, _ in chosen), tuple(k for _, k in chosen)
    whole = tuple(a for a in range(len(shape)) if a not in indexed and a not in batching)
    if any(sizes[a] != 1 for a in indexed) or any(sizes[a] != shape[a] for a in whole):
        raise UnsupportedError(
            "windows at indices that are not public",
            wanted="single elements, or whole rows, at secret indices",
            todo="lax.dynamic_slice takes a window at a secret index",
            where=b.where or None,
        )
    return _Axes(indexed, numbers, batching, whole)


def _code(
    b: Builder, indices: Ref, shape: tuple[int, ...], axes: _Axes, batching: tuple[int, ...]
) -> tuple[Ref, list[int], tuple[int, ...]]:
    """(for each index a row of booleans, true at its place of all axes together, batches first; the order of the axes
    of `indices`; the lengths of those that are no batches)."""
    outer = indices.type.shape[:-1]
    lead = [*batching, *(a for a in range(len(outer)) if a not in batching)]
    rest = tuple(outer[a] for a in lead[len(batching) :])
    flat = (prod(outer[a] for a in batching), prod(rest))
    code = None
    for axis, k in zip(axes.indexed, axes.numbers, strict=True):
        starts, limits = (0,) * len(outer) + (k,), (*outer, k + 1)
        part = b.emit("slice", indices, starts=starts, limits=limits, strides=(1,) * (len(outer) + 1))
        part = b.emit("transpose", b.emit("reshape", part, shape=outer), axes=tuple(lead))
        here = one_hot(b, b.emit("reshape", part, shape=flat), shape[axis])
        # An index that is outside along one axis alone must not be taken for another place.
        code = here if code is None else _both(b, code, here)
    if code is None:  # every axis is taken whole
        code = one_hot(b, b.constant(0, indices.type.with_shape(flat)), 1)
    return code, lead, rest


def _both(b: Builder, code: Ref, inner: Ref) -> Ref:
    """One-hot rows of two axes as those of both, (batch, m, n) and (batch, m, width)."""
    batch, m, n = code.type.shape
    shape = (batch, m, n, inner.type.shape[2])
    wide = b.emit("broadcast", code, shape=shape, dims=(0, 1, 2))
    found = b.emit("and", wide, b.emit("broadcast", inner, shape=shape, dims=(0, 1, 3)))
    return b.emit("reshape", found, shape=(batch, m, n * shape[3]))

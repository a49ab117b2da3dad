"""Positions that indexing reads or writes, from public indices."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..ir import INTEGERS, TensorType
from .base import Array, Op, attributes, is_bool, is_ints, require


class Positions(Op):
    """Where the windows that begin at `indices` lie in an array of `shape`, as positions in it flattened.

    The dimension numbers are those of XLA's gather: the last axis of the indices holds one coordinate for each of
    `start_map`; the other axes become the axes of the result that are not in `offset_dims`; the window's axes,
    without `collapsed` and `batching`, become `offset_dims`. A window that sticks out is moved inside (`clip`), or
    all its positions are -1.
    """

    name = "positions"
    arity = 1
    public_operands = (0,)
    clear_only = True
    attrs = attributes(
        shape=is_ints,
        sizes=is_ints,
        offset_dims=is_ints,
        collapsed=is_ints,
        start_map=is_ints,
        batching=is_ints,
        index_batching=is_ints,
        clip=is_bool,
    )

    def infer(self, *types: TensorType, **a: Any) -> TensorType:
        indices, shape, sizes = types[0], a["shape"], a["sizes"]
        rank = len(shape)
        dropped = (*a["collapsed"], *a["batching"])
        ok = indices.dtype in INTEGERS and len(indices.shape) >= 1 and len(sizes) == rank
        ok = ok and indices.shape[-1] == len(a["start_map"])
        ok = ok and all(0 <= s <= n for s, n in zip(sizes, shape, strict=True))
        ok = ok and all(0 <= d < rank for d in (*dropped, *a["start_map"])) and len(set(dropped)) == len(dropped)
        ok = ok and len(set(a["start_map"])) == len(a["start_map"]) and all(sizes[d] <= 1 for d in dropped)
        ok = ok and len(a["batching"]) == len(a["index_batching"])
        ok = ok and all(
            0 <= j < len(indices.shape) - 1 and indices.shape[j] == shape[d]
            for d, j in zip(a["batching"], a["index_batching"], strict=True)
        )
        window = [s for d, s in enumerate(sizes) if d not in dropped]
        out_rank = len(indices.shape) - 1 + len(window)
        offsets = a["offset_dims"]
        ok = ok and len(offsets) == len(window) and all(0 <= d < out_rank for d in offsets)
        require(ok and list(offsets) == sorted(set(offsets)), f"windows {sizes} of {shape} at {indices}")
        batch = iter(indices.shape[:-1])
        inner = iter(window)
        return TensorType("i64", tuple(next(inner) if d in offsets else next(batch) for d in range(out_rank)))

    def clear(self, *arrays: Array, **a: Any) -> Array:
        indices, shape, sizes = arrays[0], a["shape"], a["sizes"]
        out = self.infer(_type_of(indices), **a).shape
        batch_dims = [d for d in range(len(out)) if d not in a["offset_dims"]]
        kept = [d for d in range(len(shape)) if d not in a["collapsed"] and d not in a["batching"]]
        flat, inside = np.zeros(out, np.int64), np.ones(out, bool)
        for d, (n, size) in enumerate(zip(shape, sizes, strict=True)):
            place = np.zeros(out, np.int64)
            if d in a["start_map"]:
                start = np.clip(indices[..., a["start_map"].index(d)], -(2**62), 2**62).astype(np.int64)
                if a["clip"]:
                    start = np.clip(start, 0, n - size)
                start = start.reshape(_lengths(out, batch_dims, start.shape))
                inside &= (start >= 0) & (start <= n - size)
                place = place + start
            if d in a["batching"]:
                axis = batch_dims[a["index_batching"][a["batching"].index(d)]]
                place = place + np.arange(n).reshape(_lengths(out, [axis], (n,)))
            if d in kept:
                axis = a["offset_dims"][kept.index(d)]
                place = place + np.arange(size).reshape(_lengths(out, [axis], (size,)))
            flat = flat + place * prod(shape[d + 1 :])
        return np.where(inside, flat, -1)


def _type_of(indices: Array) -> TensorType:
    return TensorType("i64", indices.shape)


def _lengths(out: tuple[int, ...], dims: list[int], lengths: tuple[int, ...]) -> list[int]:
    """A shape that broadcasts `lengths` along the axes `dims` of `out`."""
    shape = [1] * len(out)
    for d, n in zip(dims, lengths, strict=True):
        shape[d] = n
    return shape

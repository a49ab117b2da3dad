"""Running sums, products and extremes, and updates in place by a product or an extreme: log2(n) deep."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...mpc import derived
from ...mpc.protocol import Arith
from ..engine import Engine
from ..ir import TensorType
from ..values import Share
from .base import NUMBERS, Array, Op, Operand, attributes, elementwise, is_bool, is_bound, is_int, require
from .structure import public_arrays, put, take, updates_fit


class _Pairs(Op):
    """What joins two elements."""

    joined: ClassVar[Any]  # the same in the clear, a ufunc

    async def pair(self, e: Engine, x: Arith, y: Arith, **attrs: Any) -> Arith:
        raise NotImplementedError


class _Product(_Pairs):
    joined = np.multiply

    async def pair(self, e: Engine, x: Arith, y: Arith, **attrs: Any) -> Arith:
        return await (e.p.mul_trunc(x, y) if attrs["dtype"] == "fixed" else e.p.mul(x, y))


class _Largest(_Pairs):
    joined = np.maximum

    async def pair(self, e: Engine, x: Arith, y: Arith, **attrs: Any) -> Arith:
        return await derived.maximum(e.p, x, y, attrs["bound"])


class _Smallest(_Pairs):
    joined = np.minimum

    async def pair(self, e: Engine, x: Arith, y: Arith, **attrs: Any) -> Arith:
        return await derived.minimum(e.p, x, y, attrs["bound"])


class _Scan(_Pairs):
    """`axis`, from its end if `reverse`."""

    arity = 1
    attrs = attributes(axis=is_int, reverse=is_bool)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        require(0 <= attrs["axis"] < len(types[0].shape), f"axis {attrs['axis']} of {types[0]}")
        return elementwise(types, NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, axis = arrays[0], attrs["axis"]
        x = np.flip(x, axis) if attrs["reverse"] else x
        with np.errstate(all="ignore"):
            x = self.joined.accumulate(x, axis, dtype=x.dtype)
        return np.flip(x, axis) if attrs["reverse"] else x

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        """In stage s blocks of 2^(s+1): the last of the first half joins every one of the second half."""
        axis, type_ = attrs["axis"], operands[0].type
        bound = e.ring_bound(attrs.get("bound"), type_)
        order = np.arange(type_.shape[axis])[:: -1 if attrs["reverse"] else 1]
        x = e.arith(operands[0]).map(lambda part: np.moveaxis(part, axis, 0)[order])
        places, step = np.arange(len(order)), 1
        while step < len(order):
            later = places[places & step != 0]
            earlier = later // step * step - 1
            joined = await self.pair(e, _rows(x, earlier), _rows(x, later), dtype=type_.dtype, bound=bound)
            x = Arith(tuple(_with_rows(a, later, b) for a, b in zip(x.parts, joined.parts, strict=True)))
            step *= 2
        return x.map(lambda part: np.asarray(np.moveaxis(part[order], 0, axis), order="C"))

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        return self.cost * out.size * max(out.shape, default=1).bit_length() / 2


def _rows(x: Arith, rows: Array) -> Arith:
    return x.map(lambda part: np.asarray(part[rows], order="C"))


def _with_rows(part: Array, rows: Array, values: Array) -> Array:
    part = part.copy()
    part[rows] = values
    return part


class Cumsum(_Scan):
    """Running sums along an axis, from its end if `reverse`."""

    name = "cumsum"
    scaling = "linear"
    joined = np.add  # in the clear one after the other, hence the same everywhere

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, axis = e.arith(operands[0]), attrs["axis"]

        def flip(part: Array) -> Array:
            return np.asarray(np.flip(part, axis), order="C") if attrs["reverse"] else part

        return e.p.cumsum(x.map(flip), axis).map(flip)


class Cumprod(_Product, _Scan):
    """Running products along an axis, from its end if `reverse`."""

    name = "cumprod"
    cost = 1.5


class Cummax(_Largest, _Scan):
    """The largest elements so far along an axis, from its end if `reverse`."""

    name = "cummax"
    attrs = attributes(axis=is_int, reverse=is_bool, bound=is_bound)
    cost = 5.0


class Cummin(_Smallest, _Scan):
    """The smallest elements so far along an axis, from its end if `reverse`."""

    name = "cummin"
    attrs = attributes(axis=is_int, reverse=is_bool, bound=is_bound)
    cost = 5.0


class _Put(_Pairs):
    arity = 3
    public_operands = (1,)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        updates_fit(*types)
        return elementwise([types[0]], NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, index, updates = arrays
        out, inside = x.reshape(-1).copy(), (index >= 0) & (index < x.size)
        with np.errstate(all="ignore"):
            self.joined.at(out, index[inside], updates[inside])
        return out.reshape(x.shape)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        """Sorted by position; neighbours for one place join until there is one for each."""
        x, index = e.arith(operands[0]), public_arrays(operands[1:2])[0].reshape(-1)
        said = {"dtype": operands[0].type.dtype, "bound": e.ring_bound(attrs.get("bound"), operands[0].type)}
        order = np.argsort(index, kind="stable")
        order = order[(index[order] >= 0) & (index[order] < x.size)]
        places = index[order]
        if not order.size:
            return x
        values = _rows(e.arith(operands[2]).reshape((-1,)), order)
        while len(places) > 1 and np.any(places[1:] == places[:-1]):
            starts = np.flatnonzero(np.append(True, places[1:] != places[:-1]))
            rank = np.arange(len(places)) - np.repeat(starts, np.diff(np.append(starts, len(places))))
            first = np.flatnonzero((rank[:-1] % 2 == 0) & (places[1:] == places[:-1]))
            joined = await self.pair(e, _rows(values, first), _rows(values, first + 1), **said)
            values = Arith(tuple(_with_rows(a, first, b) for a, b in zip(values.parts, joined.parts, strict=True)))
            kept = rank % 2 == 0
            values, places = _rows(values, np.flatnonzero(kept)), places[kept]
        there = take(x, places)
        assert isinstance(there, Arith)
        return put(x, places, await self.pair(e, there, values, **said))


class PutMul(_Product, _Put):
    """x with the elements at public positions (of x flattened) multiplied by `updates`; -1 drops one."""

    name = "put_mul"
    cost = 1.5


class PutMax(_Largest, _Put):
    """x with the elements at public positions (of x flattened) at least `updates`; -1 drops one."""

    name = "put_max"
    cost = 5.0
    attrs = attributes(bound=is_bound)


class PutMin(_Smallest, _Put):
    """x with the elements at public positions (of x flattened) at most `updates`; -1 drops one."""

    name = "put_min"
    cost = 5.0
    attrs = attributes(bound=is_bound)

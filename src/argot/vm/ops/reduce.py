"""Reductions that compare or multiply: trees of pairs, log2(n) deep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from math import prod
from typing import Any, ClassVar

import numpy as np

from ...mpc import derived
from ...mpc.protocol import Arith, Bool
from ...mpc.protocol import concat as join
from ..engine import Engine
from ..ir import INTEGERS, TensorType
from ..values import Share
from .arith import reduced
from .base import NUMBERS, Array, Op, Operand, attributes, elementwise, is_bound, is_int, is_ints, require


def rows_first(x: Arith, axes: tuple[int, ...]) -> Arith:
    """(n, rest...): the reduced axes flattened in front."""
    rest = [a for a in range(len(x.shape)) if a not in axes]
    shape = (prod(x.shape[a] for a in axes), *(x.shape[a] for a in rest))
    return x.map(lambda part: part.transpose([*axes, *rest]).reshape(shape))


def rows(x: Arith, start: int, stop: int | None, step: int = 1) -> Arith:
    return x.map(lambda part: np.asarray(part[start:stop:step], order="C"))


async def tree(x: Arith, pair: Callable[[Arith, Arith], Awaitable[Arith]]) -> Arith:
    """Rows of x joined by `pair`, neighbours first."""
    while x.shape[0] > 1:
        n = x.shape[0]
        joined = await pair(rows(x, 0, n - 1, 2), rows(x, 1, n, 2))
        x = join([joined, rows(x, n - 1, n)], 0) if n % 2 else joined
    return x.map(lambda part: part[0, ...])


class _Reduction(Op):
    arity = 1
    attrs = attributes(axes=is_ints)
    dtypes: ClassVar[tuple[str, ...]] = NUMBERS

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        elementwise(types, self.dtypes)
        result = reduced(types[0], attrs["axes"])
        require(types[0].size > 0 or result.size == 0, f"{self.name} of {types[0]}", "at least one element")
        return result

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        return self.cost * float(types[0].size)


def rows_last(x: Arith, axes: tuple[int, ...]) -> Arith:
    """(rest..., n): the reduced axes flattened behind."""
    rest = [a for a in range(len(x.shape)) if a not in axes]
    shape = (*(x.shape[a] for a in rest), prod(x.shape[a] for a in axes))
    return x.map(lambda part: part.transpose([*rest, *axes]).reshape(shape))


class _Extreme(_Reduction):
    attrs = attributes(axes=is_ints, bound=is_bound)
    cost = 5.0
    function: ClassVar[Callable[..., Awaitable[Arith]]]

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        bound = e.ring_bound(attrs["bound"], operands[0].type)
        return await type(self).function(e.p, rows_last(e.arith(operands[0]), attrs["axes"]), -1, bound)


class ReduceMax(_Extreme):
    """The largest element over axes."""

    name = "reduce_max"
    function = staticmethod(derived.max)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.max(arrays[0], axis=attrs["axes"]))


class ReduceMin(_Extreme):
    """The smallest element over axes."""

    name = "reduce_min"
    function = staticmethod(derived.min)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.min(arrays[0], axis=attrs["axes"]))


class ReduceProd(_Reduction):
    """The product over axes."""

    name = "reduce_prod"
    cost = 1.5

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(np.multiply.reduce(arrays[0], axis=attrs["axes"]))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        pair = e.p.mul_trunc if operands[0].type.dtype == "fixed" else e.p.mul
        return await tree(rows_first(e.arith(operands[0]), attrs["axes"]), pair)


class _Boolean(_Reduction):
    dtypes = ("bool",)
    cost = 0.1
    every: ClassVar[bool]

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, axes = e.bool(operands[0]), attrs["axes"]
        rest = [a for a in range(len(x.shape)) if a not in axes]
        order = (*axes, *rest)
        shape = (prod(x.shape[a] for a in axes), *(x.shape[a] for a in rest))
        x = x.map(lambda part: part.transpose(order).reshape(shape))
        x = x if self.every else e.p.not_(x)
        while x.shape[0] > 1:
            half = x.shape[0] // 2
            joined = await e.p.and_(_rows(x, 0, half), _rows(x, half, 2 * half))
            x = _joined(joined, _rows(x, 2 * half, x.shape[0])) if x.shape[0] % 2 else joined
        x = x.reshape(shape[1:])
        return x if self.every else e.p.not_(x)


def _rows(x: Bool, start: int, stop: int) -> Bool:
    zeros, ones = (0,) * (len(x.shape) - 1), (1,) * len(x.shape)
    return x.map(lambda part: part.slice((start, *zeros), (stop, *x.shape[1:]), ones))


def _joined(x: Bool, y: Bool) -> Bool:
    return Bool(tuple(type(a).concat([a, b], 0) for a, b in zip(x.parts, y.parts, strict=True)))


class ReduceAnd(_Boolean):
    """Whether all booleans over axes are true."""

    name = "reduce_and"
    every = True

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.all(arrays[0], axis=attrs["axes"]))


class ReduceOr(_Boolean):
    """Whether one of the booleans over axes is true."""

    name = "reduce_or"
    every = False

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.any(arrays[0], axis=attrs["axes"]))


class _Arg(Op):
    arity = 1
    attrs = attributes(axis=is_int, dtype=lambda v: v in INTEGERS, bound=is_bound)
    cost = 7.0
    function: ClassVar[Callable[..., Awaitable[Arith]]]

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        elementwise(types, NUMBERS)
        result = reduced(types[0], (attrs["axis"],))
        require(types[0].shape[attrs["axis"]] > 0, f"{self.name} of {types[0]}", "at least one element")
        return TensorType(attrs["dtype"], result.shape)

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        return self.cost * float(types[0].size)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        bound = e.ring_bound(attrs["bound"], operands[0].type)
        return await type(self).function(e.p, e.arith(operands[0]), attrs["axis"], bound)


class Argmax(_Arg):
    """The position of the first largest element along an axis."""

    name = "argmax"
    function = staticmethod(derived.argmax)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.argmax(arrays[0], axis=attrs["axis"]).astype(TensorType(attrs["dtype"]).numpy)


class Argmin(_Arg):
    """The position of the first smallest element along an axis."""

    name = "argmin"
    function = staticmethod(derived.argmin)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.argmin(arrays[0], axis=attrs["axis"]).astype(TensorType(attrs["dtype"]).numpy)

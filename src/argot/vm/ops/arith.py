"""Sums, products and what is made of them. Integers wrap at the ring's width, not at their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...mpc import derived
from ...mpc.convolution import Convolution
from ...mpc.protocol import Arith
from .. import clear
from ..engine import Engine
from ..ir import TensorType
from ..values import Public, Share
from .base import (
    NUMBERS,
    Array,
    Op,
    Operand,
    attributes,
    elementwise,
    is_bool,
    is_bound,
    is_int,
    is_ints,
    require,
    whole,
)

LINEAR_PRICE = 1.5  # a truncation, in elements sent


def _shape(x: Operand, y: Operand) -> tuple[int, ...]:
    return x.type.shape if x.type == y.type else elementwise((x.type, y.type)).shape


class Add(Op):
    """x + y."""

    name = "add"
    form = "elementwise"
    scaling = "alike"
    arity = 2

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return _quiet(np.add, *arrays)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = _shape(x, y)
        if isinstance(x, Public):
            x, y = y, x
        if isinstance(y, Public):
            return e.p.add_public(e.arith(x, shape), e.words(y))
        return e.p.add(e.arith(x), e.arith(y))  # one without axes is added to every element


class Sub(Op):
    """x - y."""

    name = "sub"
    form = "elementwise"
    scaling = "alike"
    arity = 2

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return _quiet(np.subtract, *arrays)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return e.p.sub(e.arith(operands[0]), e.arith(operands[1]))


class Neg(Op):
    """-x."""

    name = "neg"
    form = "elementwise"
    scaling = "linear"
    arity = 1

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return _quiet(np.negative, *arrays)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return e.p.neg(e.arith(operands[0]))


class Mul(Op):
    """x * y; reals are truncated once. A public factor keeps its own precision, however small it is."""

    name = "mul"
    form = "elementwise"
    scaling = "bilinear"
    arity = 2

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return _quiet(np.multiply, *arrays)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return _scales_locally(*operands)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = _shape(x, y)
        if isinstance(x, Public):
            x, y = y, x
        a, fixed = e.arith(x, shape), x.type.dtype == "fixed"
        if isinstance(y, Public):
            return await e.scale(a, y.array) if fixed else e.p.mul_public(a, e.words(y))
        b = e.arith(y, shape)
        return await (e.p.mul_trunc(a, b) if fixed else e.p.mul(a, b))

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        return LINEAR_PRICE * out.size


class Square(Op):
    """x * x."""

    name = "square"
    form = "elementwise"
    arity = 1
    cost = 1.5

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return _quiet(np.multiply, arrays[0], arrays[0])

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x = e.arith(operands[0])
        return await (e.p.square_trunc(x) if operands[0].type.dtype == "fixed" else e.p.square(x))


class Div(Op):
    """x / y of reals, 0 / 0 = 0. A shared x over a public 0 is 0; over a shared 0 it is large,
    with x's sign. `bound` promises |y| < 2^bound, `bound_x` the same of x.
    """

    name = "div"
    form = "elementwise"
    arity = 2
    attrs = attributes(bound=is_bound, bound_x=is_bound, general=is_bool)
    cost = 20.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, ("fixed",))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return clear.divide(*arrays)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        y = operands[1]
        return isinstance(y, Public) and whole(_reciprocal(y.array))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = _shape(x, y)
        if isinstance(y, Public):
            return await e.scale(e.arith(x, shape), _reciprocal(y.array))
        bound, bound_x = (e.ring_bound(attrs[name], x.type) for name in ("bound", "bound_x"))
        divide = derived.divide.chosen(attrs["general"])
        return await divide(e.p, e.arith(x, shape), e.arith(y, shape), bound, bound_x)


class Matmul(Op):
    """(..., m, k) @ (..., k, n) with equal leading dimensions; the sum is truncated once. Integers times reals are
    exact: a matrix of zeros and ones selects without loss of range.
    """

    name = "matmul"
    scaling = "bilinear"
    arity = 2

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        x, y = types
        shown = f"matmul of {x} and {y}"
        require(x.dtype in NUMBERS and y.dtype in NUMBERS, shown, "numbers")
        require(x.dtype == y.dtype or "fixed" in (x.dtype, y.dtype), shown, "one dtype, or integers and reals")
        require(len(x.shape) == len(y.shape) >= 2, shown, "two axes or more, as many on both sides")
        require(x.shape[:-2] == y.shape[:-2] and x.shape[-1] == y.shape[-2], shown, "(..., m, k) @ (..., k, n)")
        return (y if y.dtype == "fixed" else x).with_shape((*x.shape[:-1], y.shape[-1]))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return clear.matmul(*arrays)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return _scales_locally(*operands)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        reals = x.type.dtype == y.type.dtype == "fixed"
        if isinstance(x, Public):
            return await _matmul_public(e, e.arith(y), x, "left", reals)
        if isinstance(y, Public):
            return await _matmul_public(e, e.arith(x), y, "right", reals)
        return await (e.p.matmul_trunc if reals else e.p.matmul)(e.arith(x), e.arith(y))

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        return LINEAR_PRICE * out.size


_I64 = TensorType("i64")


async def _matmul_public(e: Engine, x: Arith, c: Public, side: Any, reals: bool) -> Arith:
    """A product of matrices of which one, on this side, is public."""
    if not reals:
        return e.p.matmul_public(x, e.words(c), side)
    if whole(c.array):
        return e.p.matmul_public(x, e.words(Public(np.rint(c.array).astype(np.int64), _I64)), side)
    return await e.p.trunc(e.p.matmul_public(x, e.words(c), side), e.p.fraction_bits)


def _as(form: Callable[[Array], Array], x: Public) -> Public:
    """A public array in another form."""
    array = form(x.array)
    return Public(array, x.type.with_shape(array.shape))


class Convolve(Op):
    """The convolution of (batch, channels, height, width) by (kernels, channels, height, width), with one stride and no
    padding: (batch, kernels, rows, columns). Each sum is truncated once.
    """

    name = "convolve"
    scaling = "bilinear"
    arity = 2
    attrs = attributes(stride=is_int)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        x, w = types
        shown = f"convolve of {x} and {w} with stride {attrs['stride']}"
        require(x.dtype in NUMBERS and x.dtype == w.dtype, shown, "numbers of one dtype")
        require(len(x.shape) == len(w.shape) == 4 and x.shape[1] == w.shape[1], shown, "four axes, equal channels")
        fits = all(0 < size <= space for size, space in zip(w.shape[2:], x.shape[2:], strict=True))
        require(fits and attrs["stride"] > 0, shown, "kernels within the space of the inputs, a positive stride")
        require(x.size > 0 < w.size, shown, "elements")
        return x.with_shape(Convolution.of(x.shape, w.shape, attrs["stride"]).shape)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return clear.convolve(arrays[0], arrays[1], attrs["stride"])

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return _scales_locally(*operands)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        (x, w), stride = operands, attrs["stride"]
        sizes, reals = Convolution.of(x.type.shape, w.type.shape, stride), x.type.dtype == "fixed"
        if isinstance(x, Public):
            found = await _matmul_public(e, e.arith(w).map(sizes.filters), _as(sizes.patches, x), "left", reals)
            return found.map(sizes.result)
        if isinstance(w, Public):
            found = await _matmul_public(e, e.arith(x).map(sizes.patches), _as(sizes.filters, w), "right", reals)
            return found.map(sizes.result)
        return await (e.p.convolve_trunc if reals else e.p.convolve)(e.arith(x), e.arith(w), stride)

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        return LINEAR_PRICE * out.size


def _scales_locally(x: Operand | None, y: Operand | None) -> bool:
    """Whether a product needs no truncation: the public factor is whole. Both may be public, since a loop may carry a
    public start where it carries secrets later; the first is then the factor, as in `share`.
    """
    factor = x if isinstance(x, Public) else y
    return isinstance(factor, Public) and (factor.type.dtype != "fixed" or whole(factor.array))


def _reciprocal(y: Array) -> Array:
    return np.where(y == 0, 0.0, clear.divide(np.ones_like(y), y))


def _quiet(function: Any, *arrays: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(function(*arrays))


class ReduceSum(Op):
    """The sum over axes."""

    name = "reduce_sum"
    scaling = "linear"
    arity = 1
    attrs = attributes(axes=is_ints)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        elementwise(types, NUMBERS)
        return reduced(types[0], attrs["axes"])

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return clear.total(arrays[0], attrs["axes"])

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return e.p.sum(e.arith(operands[0]), attrs["axes"])


def reduced(type_: TensorType, axes: tuple[int, ...]) -> TensorType:
    """The type after a reduction over axes. Raises ProgramError for axes that are not there."""
    ok = all(0 <= a < len(type_.shape) for a in axes) and len(set(axes)) == len(axes)
    require(ok, f"axes {axes} of {type_}", "different axes of the operand")
    return type_.with_shape([n for a, n in enumerate(type_.shape) if a not in axes])

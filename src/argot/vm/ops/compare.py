"""Comparisons, booleans and choices. `bound=b` promises |x - y| < 2^b, which makes a comparison cheaper."""

from __future__ import annotations

from typing import Any

import numpy as np

from argot._core import ring

from ...mpc.bits import Bits
from ...mpc.protocol import Arith, Bool
from ..engine import Engine
from ..ir import DTYPES, NUMPY, TensorType
from ..values import Public, Share
from .base import Array, Op, Operand, attributes, elementwise, is_bound, require

ANY = DTYPES


class _Comparison(Op):
    arity = 2
    attrs = attributes(bound=is_bound)
    cost = 4.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return TensorType("bool", elementwise(types).shape)


class Lt(_Comparison):
    """x < y, for numbers whose difference fits the ring."""

    name = "lt"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.less(*arrays))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = elementwise([x.type, y.type]).shape
        if x.type.dtype == "bool":
            return await e.p.and_(e.p.not_(e.bool(x, shape)), e.bool(y, shape))
        bound = e.ring_bound(attrs["bound"], x.type)
        if isinstance(y, Public) and not np.any(y.array):
            return await e.p.msb(e.arith(x, shape), bound)
        return await e.p.less_than(e.arith(x, shape), e.arith(y, shape), bound)


class Eq(_Comparison):
    """x == y."""

    name = "eq"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.equal(*arrays))

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return any(isinstance(x, Public) and x.type.dtype == "bool" for x in operands)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = elementwise([x.type, y.type]).shape
        if x.type.dtype == "bool":
            return e.p.not_(e.p.xor(e.bool(x, shape), e.bool(y, shape)))
        return await e.p.equal(e.arith(x, shape), e.arith(y, shape), e.ring_bound(attrs["bound"], x.type))


class Not(Op):
    """Not b; for public integers every bit inverted."""

    name = "not"
    form = "elementwise"
    arity = 1

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        require(types[0].dtype != "fixed", f"not of {types[0]}", "booleans or integers")
        return types[0]

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.invert(arrays[0]))

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        if operands[0].type.dtype != "bool":  # two's complement: ~x = -x - 1
            return e.p.add_public(e.p.neg(e.arith(operands[0])), -1)
        return e.p.not_(e.bool(operands[0]))


class _Bitwise(Op):
    arity = 2
    cost = 0.1

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        result = elementwise(types)
        require(result.dtype != "fixed", f"{self.name} of {result}", "booleans or integers")
        return result


class And(_Bitwise):
    """x & y of booleans; of integers in the clear only."""

    name = "and"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.bitwise_and(*arrays))

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return any(isinstance(x, Public) for x in operands)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = _booleans(self.name, x, y)
        if isinstance(x, Public):
            x, y = y, x
        if isinstance(y, Public):
            return e.p.and_public(e.bool(x, shape), mask(y.array, shape))
        return await e.p.and_(e.bool(x, shape), e.bool(y, shape))


class Or(_Bitwise):
    """x | y of booleans; of integers in the clear only."""

    name = "or"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.bitwise_or(*arrays))

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return any(isinstance(x, Public) for x in operands)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = _booleans(self.name, x, y)
        if isinstance(x, Public):
            x, y = y, x
        if isinstance(y, Public):
            outside = e.p.not_(e.bool(x, shape))
            return e.p.not_(e.p.and_public(outside, mask(~y.array, shape)))
        return await e.p.or_(e.bool(x, shape), e.bool(y, shape))


class Xor(_Bitwise):
    """x ^ y of booleans; of integers in the clear only."""

    name = "xor"
    form = "elementwise"
    cost = 0.0

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.bitwise_xor(*arrays))

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        shape = _booleans(self.name, x, y)
        return e.p.xor(e.bool(x, shape), e.bool(y, shape))


class Select(Op):
    """where(c, x, y): x where the boolean is true, else y."""

    name = "select"
    form = "elementwise"
    arity = 3
    cost = 2.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        c, x, y = types
        require(c.dtype == "bool", f"a choice by {c}", "booleans")
        result = elementwise([x, y])
        shape = elementwise([TensorType(result.dtype, c.shape), result]).shape
        return result.with_shape(shape)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        c, x, y = np.broadcast_arrays(*arrays)
        return np.where(c, x, y)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return isinstance(operands[0], Public)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        c, x, y = operands
        shape = self.infer(c.type, x.type, y.type).shape
        if isinstance(c, Public):
            return _choose(e, np.broadcast_to(c.array, shape), x, y)
        bit = e.bool(c, shape)
        if x.type.dtype == "bool":
            return await _select_bits(e, bit, e.bool(x, shape), e.bool(y, shape))
        if isinstance(x, Public) and isinstance(y, Public):
            return await _between(e, bit, x, y)
        if isinstance(y, Public) and not np.any(y.array):
            return await e.p.mul_bit(bit, e.arith(x, shape))
        if isinstance(x, Public) and not np.any(x.array):
            return await e.p.mul_bit(e.p.not_(bit), e.arith(y, shape))
        return await e.p.select(bit, e.arith(x, shape), e.arith(y, shape))


async def _between(e: Engine, bit: Bool, x: Public, y: Public) -> Arith:
    """x or y, both public: y + bit * (x - y), exactly, as the bit is a whole number."""
    one, other = (np.array(np.broadcast_to(e.words(v), bit.shape)) for v in (x, y))
    return e.p.add_public(e.p.mul_public(await e.p.b2a(bit), ring.sub(one, other)), other)


def _choose(e: Engine, c: Array, x: Operand, y: Operand) -> Share:
    """By a public condition: no messages."""
    if x.type.dtype == "bool":
        a, b = e.bool(x, c.shape), e.bool(y, c.shape)
        return e.p.xor(e.p.and_public(a, Bits.from_bool(c)), e.p.and_public(b, Bits.from_bool(~c)))
    p, q = e.arith(x, c.shape), e.arith(y, c.shape)
    return Arith(tuple(np.where(c, a, b) for a, b in zip(p.parts, q.parts, strict=True)))


async def _select_bits(e: Engine, bit: Bool, x: Bool, y: Bool) -> Bool:
    return e.p.xor(y, await e.p.and_(bit, e.p.xor(x, y)))


def mask(array: Array, shape: tuple[int, ...]) -> Bits:
    """Public booleans of a scalar or full shape as bits."""
    return Bits.from_bool(np.asarray(np.broadcast_to(array, shape), order="C"))


def _booleans(name: str, x: Operand, y: Operand) -> tuple[int, ...]:
    result = elementwise([x.type, y.type])
    require(result.dtype == "bool", f"{name} of {result} that are not public", "booleans")
    return result.shape


class Convert(Op):
    """A value in another dtype. Reals become integers by dropping the fraction (towards zero)."""

    name = "convert"
    form = "elementwise"
    arity = 1
    attrs = attributes(dtype=lambda v: v in DTYPES)
    cost = 3.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return TensorType(attrs["dtype"], types[0].shape)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, to = arrays[0], NUMPY[attrs["dtype"]]
        if to == np.bool_:
            return np.asarray(x != 0)
        if x.dtype.kind == "f" and to.kind in "iu":
            info = np.iinfo(to)
            with np.errstate(all="ignore"):
                inside = np.clip(np.trunc(x), float(info.min), float(info.max))
                return np.where(inside >= float(info.max), info.max, inside.astype(to)).astype(to)
        return x.astype(to)

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return False

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, to = operands[0], attrs["dtype"]
        if to == x.type.dtype:
            return e.lift(x)
        if x.type.dtype == "bool":
            number = await e.p.b2a(e.bool(x))
            return e.p.shl(number, e.p.fraction_bits) if to == "fixed" else number
        number = e.arith(x)
        if to == "bool":
            return e.p.not_(await e.p.equal(number, e.p.public(e.p.constant(0, number.shape)), None))
        if to == "fixed":
            return e.p.shl(number, e.p.fraction_bits)
        return await _towards_zero(e, number) if x.type.dtype == "fixed" else number

    def price(self, shared: Any, types: Any, out: TensorType) -> float:
        free = types[0].dtype != "bool" and out.dtype in ("fixed", types[0].dtype)
        return 0.0 if free else self.cost * out.size


async def floor_words(e: Engine, x: Arith) -> Arith:
    """floor of fixed point as an integer, exact: a truncation might be one too high, so it goes through bits.

    With the offset 2^(w-1) every encodable number is a natural one of w bits; those above the point are kept.
    """
    f = e.p.fraction_bits
    width = e.p.k - f - 1
    bits = await e.p.a2b(e.p.add_public(x, 1 << (width - 1)), width)
    return e.p.add_public(await e.p.b2a(bits.bits_at(f, width)), -(1 << (width - 1 - f)))


async def _towards_zero(e: Engine, x: Arith) -> Arith:
    negative = await e.p.msb(x)
    magnitude = await e.p.select(negative, e.p.neg(x), x)
    whole = await floor_words(e, magnitude)
    return await e.p.select(negative, e.p.neg(whole), whole)


class _Rounding(Op):
    arity = 1
    cost = 15.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, ("fixed",))


class Floor(_Rounding):
    """The largest whole number that is not above x."""

    name = "floor"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.floor(arrays[0]))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return e.p.shl(await floor_words(e, e.arith(operands[0])), e.p.fraction_bits)


class Round(_Rounding):
    """The nearest whole number. Halves go to the even one in the clear, up on shares."""

    name = "round"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.rint(arrays[0]))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        f = e.p.fraction_bits
        x = e.p.add_public(e.arith(operands[0]), (1 << f) >> 1)
        return e.p.shl(await floor_words(e, x), f)

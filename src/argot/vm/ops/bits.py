"""Integers bit by bit: and, or, xor, shifts, counts.

On shares an integer goes into bits at its own width, so it wraps here as its dtype says, and comes back as a number of
the ring: with a sign where its dtype has one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...mpc.bits import Bits
from ...mpc.derived.leading import leading_one, repeat, stack
from ...mpc.derived.words import ones, shifted
from ...mpc.protocol import Arith, Bool, full
from ...runtime import gather
from ..engine import Engine
from ..ir import INTEGERS, TensorType
from ..values import Public, Share
from .base import Array, Op, Operand, elementwise


def own_width(e: Engine, type_: TensorType) -> int:
    """The bits of a dtype, or of the ring if that has fewer."""
    return min(8 * type_.numpy.itemsize, e.p.k)


async def number(e: Engine, word: Bool, signed: bool) -> Arith:
    """The integer with these bits. The highest one counts -2^(w-1) if signed: it is flipped, and 2^(w-1) subtracted."""
    if not signed or word.width == e.p.k:
        return await e.p.b2a(word)
    return e.p.add_public(await e.p.b2a(with_sign_flipped(e, word)), -(1 << (word.width - 1)))


def with_sign_flipped(e: Engine, word: Bool) -> Bool:
    """Numbers with a sign as words without one that are in the same order: the highest bit inverted adds 2^(w-1)."""
    top = full(1 << (word.width - 1), word.shape, e.p.dtype)
    return e.p.xor_public(word, Bits.from_ring(top, word.width))


def is_signed(type_: TensorType) -> bool:
    return type_.numpy.kind == "i"


class _Bitwise(Op):
    arity = 2
    cost = 8.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, INTEGERS)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        type_ = self.infer(x.type, y.type)
        if isinstance(x, Public):
            x, y = y, x
        a = e.arith(x, type_.shape)
        if isinstance(y, Public):
            words = np.array(np.broadcast_to(e.words(y), type_.shape))
            return self.known(e, a, words, await _masked(e, a, y, words, type_))
        width = own_width(e, type_)
        one, other = await gather(e.p.a2b(a, width), e.p.a2b(e.arith(y, type_.shape), width))
        return await number(e, await self.words(e, one, other), is_signed(type_))

    async def words(self, e: Engine, x: Bool, y: Bool) -> Bool:
        """Of two shared words."""
        raise NotImplementedError

    def known(self, e: Engine, x: Arith, y: Array, both: Arith) -> Arith:
        """Of a shared and a public number, given x & y."""
        raise NotImplementedError


async def _masked(e: Engine, x: Arith, y: Public, words: Array, type_: TensorType) -> Arith:
    """x & y. Of masks without a sign only the bits that some mask has."""
    width = own_width(e, type_)
    largest = int(np.max(y.array, initial=0))
    needed = min(largest.bit_length(), width) if np.all(y.array >= 0) else width
    if needed == 0:
        return e.p.public(e.p.constant(0, x.shape))
    word = e.p.and_public(await e.p.a2b(x, needed), Bits.from_ring(words, needed))
    return await number(e, word, is_signed(type_) and needed == width)


class BitAnd(_Bitwise):
    """x & y of integers."""

    name = "bit_and"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.bitwise_and(*arrays))

    async def words(self, e: Engine, x: Bool, y: Bool) -> Bool:
        return await e.p.and_(x, y)

    def known(self, e: Engine, x: Arith, y: Array, both: Arith) -> Arith:
        return both


class BitOr(_Bitwise):
    """x | y of integers; with a public y it is x + y - (x & y)."""

    name = "bit_or"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.bitwise_or(*arrays))

    async def words(self, e: Engine, x: Bool, y: Bool) -> Bool:
        return await e.p.or_(x, y)

    def known(self, e: Engine, x: Arith, y: Array, both: Arith) -> Arith:
        return e.p.sub(e.p.add_public(x, y), both)


class BitXor(_Bitwise):
    """x ^ y of integers; with a public y it is x + y - 2 (x & y)."""

    name = "bit_xor"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return np.asarray(np.bitwise_xor(*arrays))

    async def words(self, e: Engine, x: Bool, y: Bool) -> Bool:
        return e.p.xor(x, y)

    def known(self, e: Engine, x: Arith, y: Array, both: Arith) -> Arith:
        return e.p.sub(e.p.add_public(x, y), e.p.shl(both, 1))


class _Shift(Op):
    arity = 2
    cost = 8.0
    left = False
    repeats = False  # the sign, into the highest bits

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, INTEGERS)

    async def by_secret(self, e: Engine, x: Operand, n: Operand) -> Share:
        """Of numbers by secret ones, in bits; what is below 0 or too large is as large as the width."""
        type_ = self.infer(x.type, n.type)
        width = own_width(e, type_)
        number_of = e.arith(x, type_.shape), e.arith(n, type_.shape)
        word, distance = await gather(e.p.a2b(number_of[0], width), e.p.a2b(number_of[1], width))
        fill = word.bits_at(width - 1, width) if self.repeats and is_signed(type_) else None
        return await number(e, await shifted(e.p, word, distance, self.left, fill), is_signed(type_))


class ShiftLeft(_Shift):
    """x << n of integers by secret n; with a public n programs say x * 2^n."""

    name = "shift_left"
    form = "elementwise"
    left = True

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, n = np.broadcast_arrays(*arrays)
        wide = (n < 0) | (n >= x.dtype.itemsize * 8)
        return np.where(wide, np.zeros_like(x), np.left_shift(x, np.where(wide, np.zeros_like(n), n)))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return await self.by_secret(e, *operands)


class _ShiftRight(_Shift):
    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, n = operands
        if not isinstance(n, Public):
            return await self.by_secret(e, x, n)
        type_ = self.infer(x.type, n.type)
        a, width = e.arith(x, type_.shape), own_width(e, type_)
        if not a.size:
            return a
        signed = is_signed(type_)
        repeated = signed and self.repeats
        most = width - 1 if repeated else width
        counts = np.broadcast_to(np.where((n.array < 0) | (n.array > most), most, n.array).astype(np.int64), a.shape)
        distinct = np.unique(counts).tolist()
        if distinct == [0]:
            return a
        word = await e.p.a2b(a, width)
        if len(distinct) == 1:
            kept = word.bits_at(distinct[0], width)
            return await number(e, kept, repeated) if kept.width else e.p.public(e.p.constant(0, a.shape))
        sign = word.bits_at(width - 1, width)
        chosen: Bool | None = None
        for count in distinct:
            shifted = e.p.shift_right(word, count)
            if repeated:
                shifted = stack([word.bits_at(count, width), repeat(sign, count)])
            mask = Bits.from_bool(counts == count)
            part = e.p.and_public(shifted, Bits.stack_planes([mask] * width))
            chosen = part if chosen is None else e.p.xor(chosen, part)
        assert chosen is not None
        return await number(e, chosen, signed)


class ShiftRight(_ShiftRight):
    """x >> n of integers, the sign repeated."""

    name = "shift_right_arithmetic"
    form = "elementwise"
    repeats = True

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, n = np.broadcast_arrays(*arrays)
        top = np.array(x.dtype.itemsize * 8 - 1, x.dtype)
        return np.asarray(np.right_shift(x, np.where((n < 0) | (n > top), top, n)))


class ShiftRightLogical(_ShiftRight):
    """x >> n of integers, zeros in."""

    name = "shift_right_logical"
    form = "elementwise"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, n = np.broadcast_arrays(*arrays)
        unsigned = np.dtype(f"u{x.dtype.itemsize}")
        wide = (n < 0) | (n >= x.dtype.itemsize * 8)
        shifted = np.right_shift(x.astype(unsigned), np.where(wide, np.zeros_like(n), n).astype(unsigned))
        return np.where(wide, np.zeros_like(shifted), shifted).astype(x.dtype)


class _Count(Op):
    arity = 1
    cost = 8.0
    form = "elementwise"

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, INTEGERS)


class PopulationCount(_Count):
    """The ones among the bits of an integer."""

    name = "population_count"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        (x,) = arrays
        return np.bitwise_count(_unsigned(x)).astype(x.dtype)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        (x,) = operands
        word = await e.p.a2b(e.arith(x), own_width(e, x.type))
        return await e.p.b2a(await ones(e.p, word))


class LeadingZeros(_Count):
    """The zeros above the highest one of an integer; its width where there is none."""

    name = "clz"

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        (x,) = arrays
        word, count = _unsigned(x), np.full(x.shape, 8 * x.itemsize, x.dtype)
        while word.any():
            count -= (word != 0).astype(x.dtype)
            word = word >> np.ones((), word.dtype)
        return count

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        (x,) = operands
        width = own_width(e, x.type)
        place, found = await leading_one(e.p, await e.p.a2b(e.arith(x), width))
        # The length of the word: the place is 0 where there is none.
        length = e.p.add(*await gather(e.p.b2a(place), e.p.b2a(found)))
        return e.p.add_public(e.p.neg(length), width)


def _unsigned(x: Array) -> Array:
    return np.ascontiguousarray(x).view(np.dtype(f"u{x.dtype.itemsize}")).reshape(x.shape)

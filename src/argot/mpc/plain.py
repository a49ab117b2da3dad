"""The reference: every operation in the clear, by one party.

What it gives is what any protocol gives, up to the last place of truncated results, and the same on every machine:
integers only. The VM computes with it what depends on public values or on one party's data alone, and the tests
compare every protocol with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from os import urandom
from typing import ClassVar, final

import numpy as np

from .._core import ring, sets
from ..runtime import cost
from .bits import Bits
from .derived import clear
from .protocol import RINGS, Arith, Array, Bool, Protocol, full, index_bits, row_starts

free = cost("0")  # nothing is sent


@final
class Plain(Protocol):
    """All values in the clear: a share has one part, the value. Truncation rounds to nearest, halves up."""

    parties: int = 1
    has_addends: ClassVar[bool] = True

    def public(self, x: Array) -> Arith:
        return Arith((x,))

    def public_bits(self, b: Bits) -> Bool:
        return Bool((b,))

    def random_bits(self, shape: Sequence[int], width: int) -> Bool:
        """From the operating system; whoever computes in the clear sees them."""
        return Bool((Bits(ring.bits_stream(urandom(16), width, prod(shape)), tuple(shape)),))

    @classmethod
    def parts_of(cls, x: Array | Bits, n: int) -> list[tuple[Array | Bits, ...]]:
        """The value itself."""
        return [(x,)] * n

    @free
    async def share(self, x: Array | None, owner: int, shape: Sequence[int] | None = None) -> Arith:
        assert x is not None, "one party, which owns everything"
        return Arith((x,))

    @free
    async def share_bits(
        self, b: Bits | None, owner: int, shape: Sequence[int] | None = None, width: int | None = None
    ) -> Bool:
        assert b is not None, "one party, which owns everything"
        return Bool((b,))

    @free
    async def reveal_to(self, x: Arith, ranks: Iterable[int]) -> Array | None:
        return x.parts[0]

    @free
    async def reveal_bits_to(self, b: Bool, ranks: Iterable[int]) -> Bits | None:
        return b.parts[0]

    @free
    async def mul(self, x: Arith, y: Arith) -> Arith:
        return Arith((ring.mul(x.parts[0], y.parts[0]),))

    @free
    async def square(self, x: Arith) -> Arith:
        return await self.mul(x, x)

    @free
    async def matmul(self, x: Arith, y: Arith) -> Arith:
        return Arith((ring.matmul(x.parts[0], y.parts[0]),))

    @free
    async def trunc(self, x: Arith, d: int) -> Arith:
        if d == 0:
            return x
        half = full(1 << (d - 1), (), x.dtype)
        return x.map(lambda part: ring.sar(ring.add(part, half), d))

    @free
    async def mul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        return await self.trunc(await self.mul(x, y), self.fraction_bits if d is None else d)

    @free
    async def square_trunc(self, x: Arith, d: int | None = None) -> Arith:
        return await self.mul_trunc(x, x, d)

    @free
    async def matmul_trunc(self, x: Arith, y: Arith, d: int | None = None) -> Arith:
        return await self.trunc(await self.matmul(x, y), self.fraction_bits if d is None else d)

    @free
    async def and_(self, x: Bool, y: Bool) -> Bool:
        return Bool((x.parts[0] & y.parts[0],))

    @free
    async def a2b(self, x: Arith, width: int | None = None) -> Bool:
        return Bool((Bits.from_ring(x.parts[0], x.k if width is None else width),))

    @free
    async def b2a(self, b: Bool) -> Arith:
        return Arith((b.parts[0].to_ring(self.dtype),))

    @free
    async def msb(self, x: Arith, bound: int | None = None) -> Bool:
        width = x.k if bound is None else max(1, min(bound, x.k))
        return Bool((Bits.from_ring(x.parts[0], width).planes_at(width - 1, width),))

    @free
    async def equal(self, x: Arith, y: Arith, bound: int | None = None) -> Bool:
        differ = Bits.from_ring(ring.sub(x.parts[0], y.parts[0]), x.k if bound is None else max(1, min(bound, x.k)))
        some = differ.planes_at(0, 1)
        for i in range(1, differ.width):
            some = some ^ differ.planes_at(i, i + 1) ^ (some & differ.planes_at(i, i + 1))
        return Bool((~some,))

    @free
    async def mul_bit(self, bit: Bool, x: Arith) -> Arith:
        return Arith((ring.mul(bit.parts[0].to_ring(x.dtype), x.parts[0]),))

    def addends(self, x: Arith) -> tuple[Array | None, Array | None]:
        return x.parts[0], full(0, x.shape, x.dtype)

    @free
    async def cross_product(
        self, left: Sequence[Array] | None, right: Sequence[Array] | None, terms: int, shape: Sequence[int]
    ) -> Arith:
        total = full(0, tuple(shape), self.dtype)
        for u, v in zip(left or (), right or (), strict=True):
            total = ring.add(total, ring.mul(u, v))
        return Arith((total,))

    # ---- orders ---------------------------------------------------------------------------------------------------

    has_order: ClassVar[bool] = True

    @free
    async def shuffle(self, values: Sequence[Arith | Bool]) -> list[Arith | Bool]:
        index = sets.permutation(values[0].shape[0])
        return [_taken(value, index) for value in values]

    @free
    async def order(self, key: Bool) -> Bool:
        pieces = [key.parts[0].planes_at(i, min(i + 64, key.width)) for i in range(0, key.width, 64)]
        low_first = np.lexsort([piece.to_ring(np.uint64) for piece in pieces], axis=-1)
        return Bool((Bits.from_ring((low_first + row_starts(key.shape)).astype(np.uint64), index_bits(key.size)),))

    @free
    async def take(self, values: Sequence[Arith | Bool], order: Bool) -> list[Arith | Bool]:
        index = order.parts[0].to_ring(np.uint64).astype(np.int64)
        return [_taken(value, index) for value in values]

    @free
    async def place(self, values: Sequence[Arith | Bool], places: Bool) -> list[Arith | Bool]:
        index = places.parts[0].to_ring(np.uint64).astype(np.int64)
        return [_taken(value, np.argsort(index)) for value in values]

    # ---- elementary functions: correctly rounded, the same on every machine ---------------------------------------

    @free
    async def exp(
        self, x: Arith, bound: int | None = None, low: float | None = None, high: float | None = None
    ) -> Arith:
        return self._function("exp", x)

    @free
    async def log(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("log", x)

    @free
    async def sigmoid(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("sigmoid", x)

    @free
    async def tanh(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("tanh", x)

    @free
    async def erf(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("erf", x)

    @free
    async def sin(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("sin", x)

    @free
    async def cos(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("cos", x)

    @free
    async def reciprocal(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("reciprocal", x)

    @free
    async def sqrt(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("sqrt", x)

    @free
    async def rsqrt(self, x: Arith, bound: int | None = None) -> Arith:
        return self._function("rsqrt", x)

    @free
    async def divide(self, x: Arith, y: Arith, bound: int | None = None, bound_x: int | None = None) -> Arith:
        return Arith((clear.divide(x.parts[0], y.parts[0], self.fraction_bits),))

    def _function(self, name: str, x: Arith) -> Arith:
        return Arith((clear.apply(name, x.parts[0], self.fraction_bits),))


def _taken(value: Arith | Bool, index: Array) -> Arith | Bool:
    if isinstance(value, Arith):
        return value.map(lambda part: part[index])
    return value.map(lambda part: Bits.from_ring(part.to_ring(RINGS[128])[index], part.width))

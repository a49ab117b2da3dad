"""What an operation sees of the protocol: shares of public operands, equal shapes, multiplication by public reals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..mpc.bits import Bits
from ..mpc.protocol import Arith, Bool, Protocol, index_bits
from .ir import TensorType
from .ops.base import Operand, Shared, whole
from .values import Array, Public, Share, integers, reals


class Engine:
    """A protocol and the conventions of the machine: reals are fixed point, booleans have width 1."""

    def __init__(self, p: Protocol) -> None:
        self.p = p

    def words(self, x: Public) -> Array:
        """A public number as ring words."""
        return reals(x.array, self.p) if x.type.dtype == "fixed" else integers(x.array, self.p)

    def lift(self, x: Operand) -> Share:
        """A share of the operand, public or not."""
        if isinstance(x, Shared):
            return x.share
        if x.type.dtype == "bool":
            return self.p.public_bits(Bits.from_bool(x.array))
        if x.type.dtype == "order":
            return self.p.public_bits(Bits.from_ring(x.array.astype(np.uint64), index_bits(x.array.size)))
        return self.p.public(self.words(x))

    async def shared(self, mine: Share | None, owner: int, type_: TensorType) -> Share:
        """A share of what party `owner` has in the form of `Plain`; the others pass None."""
        part: Any = None if mine is None else mine.parts[0]
        if type_.dtype == "bool":
            return await self.p.share_bits(part, owner, type_.shape, 1)
        words = None if part is None else np.asarray(part, order="C")
        return await self.p.share(words, owner, type_.shape)

    def arith(self, x: Operand, shape: tuple[int, ...] | None = None) -> Arith:
        """A share of a number, broadcast from a scalar to `shape`."""
        share = self.lift(x)
        assert isinstance(share, Arith)
        return share if shape is None else spread(share, shape)

    def bool(self, x: Operand, shape: tuple[int, ...] | None = None) -> Bool:
        """A share of a boolean, broadcast from a scalar to `shape`."""
        share = self.lift(x)
        assert isinstance(share, Bool)
        return share if shape is None else spread_bits(share, shape)

    def ring_bound(self, bound: int | None, type_: TensorType) -> int | None:
        """The protocol's bound l for |x| < 2^bound; None where the ring has no more bits anyway."""
        if bound is None:
            return None
        bits = max(bound + (self.p.fraction_bits if type_.dtype == "fixed" else 0) + 1, 2)
        return bits if bits < self.p.k else None

    async def scale(self, x: Arith, c: Array) -> Arith:
        """x * c for public reals c of x's shape or 0-d; c keeps about `fraction_bits` significant bits.

        Whole c cost nothing; powers of two one truncation. |x * c| must be encodable.
        """
        if c.size == 0:
            return x
        shift = self.scale_shift(c)
        if shift == 0:
            return self.p.mul_public(x, integers(np.rint(c).astype(np.int64), self.p))
        if not c.ndim and math.ldexp(float(c), shift) == 1.0:
            return await self.p.trunc(x, shift)
        words = np.rint(np.ldexp(c, shift)).astype(np.int64)
        return await self.p.mul_public_trunc(x, integers(words, self.p), shift)

    def scale_shift(self, c: Array) -> int:
        """Bits to drop after multiplying by round(c * 2^shift); 0 for whole c.

        The multiplier stays below 2^f for |c| < 1, so that |x| < 2^(k-2f-2) leaves the product below 2^(k-2).
        """
        f = self.p.fraction_bits
        if whole(c):
            return 0
        largest = abs(float(c)) if not c.ndim else float(np.abs(c).max())
        mantissa, exponent = math.frexp(largest)
        if not c.ndim and mantissa == 0.5 and c > 0:
            return min(max(1 - exponent, 0), self.p.k - 2)
        return min(f + max(0, -exponent), self.p.k - 2)


def spread(x: Arith, shape: tuple[int, ...]) -> Arith:
    """A scalar share repeated to `shape`."""
    return x if x.shape == shape else x.map(lambda part: np.asarray(np.broadcast_to(part, shape), order="C"))


def spread_bits(x: Bool, shape: tuple[int, ...]) -> Bool:
    """A scalar boolean share repeated to `shape`."""
    return x if x.shape == shape else x.map(lambda part: part.broadcast_in_dim(shape, ()))

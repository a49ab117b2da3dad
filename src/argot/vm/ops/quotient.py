"""Exact quotients and remainders: of integers, and remainders of reals, which are those of their words.

Below, a = |x| and c = |y| for the ring integers x and y. With k bits a, c < 2^(k-2), or as `bound_x` and `bound`
promise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...mpc.derived.leading import stack
from ...mpc.protocol import Arith, Bool, concat_bits
from ...runtime import gather
from ..engine import Engine
from ..ir import INTEGERS, TensorType
from ..values import Public, Share, integers
from .base import NUMBERS, Array, Op, Operand, attributes, elementwise, is_bound


class _Quotient(Op):
    form = "elementwise"
    arity = 2
    attrs = attributes(bound=is_bound, bound_x=is_bound)
    cost = 60.0


class Divide(_Quotient):
    """x / y of integers, rounded towards zero; x / 0 is -1. On shares |x|, |y| < 2^(k-2); `bound` promises
    |y| < 2^bound, `bound_x` the same of x.
    """

    name = "int_div"

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, INTEGERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, y = np.broadcast_arrays(*arrays)
        safe = np.where(y == 0, 1, y).astype(x.dtype)
        with np.errstate(all="ignore"):
            quotient = np.floor_divide(x, safe)
            wrong = (quotient * safe != x) & ((x < 0) != (safe < 0))
            return np.where(y == 0, np.array(-1).astype(x.dtype), quotient + wrong).astype(x.dtype)

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        x, y = operands
        return await _divided(e, x, y, **attrs)


class Rem(_Quotient):
    """x - y times the quotient rounded towards zero, with x's sign; x where y = 0. Promises as for `int_div`.

    Reals are multiples of 2^-f, and so is the remainder: it is exact for |x| < 2^(k-2f-2).
    """

    name = "rem"

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, NUMBERS)

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        x, y = np.broadcast_arrays(*arrays)
        with np.errstate(all="ignore"):
            return np.where(y == 0, x, np.fmod(x, np.where(y == 0, np.ones_like(y), y)))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        """x - y q. Where y = 0 this is x whatever q is."""
        x, y = operands
        shape = elementwise([x.type, y.type]).shape
        quotient = await _divided(e, x, y, **attrs)
        if isinstance(y, Public):
            words = np.array(np.broadcast_to(e.words(y), shape))
            return e.p.sub(e.arith(x, shape), e.p.mul_public(quotient, words))
        return e.p.sub(e.arith(x, shape), await e.p.mul(quotient, e.arith(y, shape)))


async def _divided(e: Engine, x: Operand, y: Operand, bound: int | None, bound_x: int | None) -> Arith:
    """x / y rounded towards zero, as integers of the ring; -1 where y = 0."""
    shape = elementwise([x.type, y.type]).shape
    numerator = _magnitude(e, x, shape, bound_x)
    if isinstance(y, Public) and e.p.k <= 64:
        words = np.array(np.broadcast_to(e.words(y), shape))
        known = words.view(f"i{words.itemsize}").astype(np.int64)
        size = int(np.max(np.abs(known), initial=1)).bit_length()
        if _digits(e, size) >= MIN_DIGITS:
            negative, a, width = await numerator
            quotient = await _by_public(e, a, np.where(known == 0, 1, np.abs(known)), width, size)
            signed = await _negated(e, negative, quotient)
            signed = e.p.mul_public(signed, integers(np.where(known < 0, -1, 1), e.p))
            return signed if known.all() else _minus_one_at(e, signed, known == 0)
    (negative, a, width), (other, c, size) = await gather(numerator, _magnitude(e, y, shape, bound))
    quotient, zero = await gather(
        _by_shared(e, a, c, width, size), e.p.equal(c, e.p.public(e.p.constant(0, shape)), None)
    )
    signed = await _negated(e, e.p.xor(negative, other), quotient)
    return e.p.sub(signed, await e.p.mul_bit(zero, e.p.add_public(signed, 1)))


def _minus_one_at(e: Engine, x: Arith, places: Array) -> Arith:
    """x, but -1 at public places."""
    minus_one = e.p.public(e.p.constant(-1, x.shape))
    return Arith(tuple(np.where(places, m, part) for m, part in zip(minus_one.parts, x.parts, strict=True)))


async def _negated(e: Engine, bit: Bool, x: Arith) -> Arith:
    """-x where the bit is 1."""
    return e.p.sub(x, e.p.shl(await e.p.mul_bit(bit, x), 1))


async def _magnitude(e: Engine, x: Operand, shape: tuple[int, ...], promise: int | None) -> tuple[Bool, Arith, int]:
    """([x < 0], |x|, the bits of |x|)."""
    bound = e.ring_bound(promise, x.type)
    spare = e.p.fraction_bits if x.type.dtype == "fixed" else 0
    width = bound - 1 if bound is not None else e.p.k - 2 - spare
    share = e.arith(x, shape)
    negative = await e.p.msb(share, bound)
    return negative, await _negated(e, negative, share), width


# ---- by a public number: long division, in digits as long as products allow -----------------------------------------

MIN_DIGITS = 4  # bits of a digit below which division bit by bit costs less


def _digits(e: Engine, size: int) -> int:
    """How many bits a digit may have if c < 2^size."""
    return (e.p.k - 3 - size) // 2


async def _by_public(e: Engine, a: Arith, c: Array, width: int, size: int) -> Arith:
    """floor(a / c) for a < 2^width and public 0 < c < 2^size.

    The first digit is that of the highest n bits of a, n as large as 2^(2n) / c < 2^(k-2) allows; then each
    remainder, which is below c, is extended by the next bits of a.
    """
    smallest = int(np.min(c, initial=2**62)).bit_length() - 1
    rest = max(width - (e.p.k - 3 + smallest) // 2, 0)
    if rest == 0:
        return (await _digit(e, a, c, width, size))[0]
    cuts = [rest, *range(rest - _digits(e, size), 0, -_digits(e, size)), 0]
    word = await e.p.a2b(a, width)
    parts = zip([width, *cuts], cuts, strict=False)
    first, *others = await gather(*(e.p.b2a(word.bits_at(low, high)) for high, low in parts))
    quotient, remainder = await _digit(e, first, c, width - rest, size)
    for digit, high, low in zip(others, cuts, cuts[1:], strict=False):
        extended = e.p.add(e.p.shl(remainder, high - low), digit)
        found, remainder = await _digit(e, extended, c, size + high - low, size)
        quotient = e.p.add(e.p.shl(quotient, high - low), found)
    return quotient


async def _digit(e: Engine, n: Arith, c: Array, s: int, size: int) -> tuple[Arith, Arith]:
    """(floor(n / c), the remainder) for n <= 2^s and n m < 2^(k-2) with m = floor(2^s / c).

    n / c - 1 <= n m / 2^s <= n / c, and a truncation adds 0 or 1: what comes out is off by at most 1, and the
    remainder between -c and 2c.
    """
    words = integers(c, e.p)
    guess = await e.p.mul_public_trunc(n, integers((1 << s) // c, e.p), s)
    left = e.p.sub(n, e.p.mul_public(guess, words))
    bound = size + 2 if size + 2 < e.p.k else None
    below, fits = await gather(e.p.msb(left, bound), e.p.msb(e.p.sub(left, e.p.public(words)), bound))
    bits = concat_bits([below.reshape((1, *n.shape)), e.p.not_(fits).reshape((1, *n.shape))], 0)
    both = await e.p.b2a(bits)
    change = e.p.sub(both.map(lambda part: part[1, ...]), both.map(lambda part: part[0, ...]))
    return e.p.add(guess, change), e.p.sub(left, e.p.mul_public(change, words))


# ---- by a shared number: one bit at a time --------------------------------------------------------------------------


async def _by_shared(e: Engine, a: Arith, c: Arith, width: int, size: int) -> Arith:
    """floor(a / c) for a < 2^width and c < 2^size, as on paper: the remainder stays below c."""
    word = await e.p.a2b(a, width)
    planes = [word.bits_at(i, i + 1) for i in range(width)]
    bits = await e.p.b2a(concat_bits([plane.reshape((1, *a.shape)) for plane in planes], 0))
    remainder = e.p.public(e.p.constant(0, a.shape))
    bound = size + 2 if size + 2 < e.p.k else None
    found: list[Bool] = []
    for i in reversed(range(width)):
        bit = bits.map(lambda part, i=i: part[i, ...])  # type: ignore[misc] # the bound i
        less = e.p.sub(e.p.add(e.p.shl(remainder, 1), bit), c)
        below = await e.p.msb(less, bound)
        remainder = e.p.add(less, await e.p.mul_bit(below, c))
        found.append(e.p.not_(below))
    return await e.p.b2a(stack(found[::-1]))

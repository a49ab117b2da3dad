"""Largest, smallest and their positions; absolute value, sign, clamp. All exact.

`bound=l` promises |x - y| < 2^(l-1) for any two elements that are compared.
"""

from __future__ import annotations

import numpy as np

from ...runtime import cost, gather
from ..bits import Bits
from ..protocol import Arith, Array, Bool, Protocol, concat, concat_bits
from .dispatch import derived
from .leading import products as products  # for a formula
from .leading import repeat, stack

# m elements along the axis meet in m - 1 pairs. The bits of the first stage's positions are known without a product.
STAGE = "(less_than() + select())"
PLACED = "(less_than() + gather(select(), and_(w=1)))"
PLACE_ROUNDS = f"{STAGE} + (log2(m) - 1) * {PLACED} + b2a(w=log2(m)) if m > 1 else 0"
PLACE_BITS = f"(m-1) * {STAGE} + and_(w=products(m) - (m-1)) + b2a(w=log2(m)) if m > 1 else 0"


@derived("less_than() + select()")
async def maximum(p: Protocol, x: Arith, y: Arith, bound: int | None = None) -> Arith:
    """The larger of x and y."""
    return await p.select(await p.less_than(x, y, bound), y, x)


@derived("less_than() + select()")
async def minimum(p: Protocol, x: Arith, y: Arith, bound: int | None = None) -> Arith:
    """The smaller of x and y."""
    return await p.select(await p.less_than(y, x, bound), y, x)


@derived(rounds=f"log2(m) * {STAGE}", bits=f"(m-1) * {STAGE}")
async def max(p: Protocol, x: Arith, axis: int = -1, bound: int | None = None) -> Arith:
    """The largest element along an axis, which must not be empty."""
    return (await _tournament(p, x, axis, bound, True, False))[0]


@derived(rounds=f"log2(m) * {STAGE}", bits=f"(m-1) * {STAGE}")
async def min(p: Protocol, x: Arith, axis: int = -1, bound: int | None = None) -> Arith:
    """The smallest element along an axis, which must not be empty."""
    return (await _tournament(p, x, axis, bound, False, False))[0]


@derived(rounds=PLACE_ROUNDS, bits=PLACE_BITS)
async def argmax(p: Protocol, x: Arith, axis: int = -1, bound: int | None = None) -> Arith:
    """The position, an integer, of the first largest element along an axis."""
    return await _position(p, x, axis, bound, True)


@derived(rounds=PLACE_ROUNDS, bits=PLACE_BITS)
async def argmin(p: Protocol, x: Arith, axis: int = -1, bound: int | None = None) -> Arith:
    """The position, an integer, of the first smallest element along an axis."""
    return await _position(p, x, axis, bound, False)


@derived("msb() + mul_bit()")
async def abs(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """|x|."""
    negative = await p.msb(x, bound)
    return await mirrored(p, x, negative)


@cost("mul_bit()")
async def mirrored(p: Protocol, x: Arith, negative: Bool) -> Arith:
    """-x where the bit is 1, else x."""
    return p.sub(x, p.shl(await p.mul_bit(negative, x), 1))


@derived(
    rounds="gather(msb(), msb()) + b2a(n=2*n, w=1)",
    bits="gather(msb(), msb()) + 2 * b2a(n=2*n, w=1)",
)
async def sign(p: Protocol, x: Arith, bound: int | None = None) -> Arith:
    """-1, 0 or 1 in fixed point."""
    below, above = await gather(p.msb(x, bound), p.msb(p.neg(x), bound))
    ones = await p.b2a(_joined(below, above))
    n = x.size
    below_one, above_one = ones.map(lambda part: part[:n]), ones.map(lambda part: part[n:])
    return p.shl(p.sub(above_one, below_one), p.fraction_bits).reshape(x.shape)


def _joined(x: Bool, y: Bool) -> Bool:
    return concat_bits([x.reshape((x.size,)), y.reshape((y.size,))], 0)


@derived("gather(less_than(), less_than()) + gather(mul_bit(), mul_bit())")
async def clamp(p: Protocol, x: Arith, low: Array, high: Array, bound: int | None = None) -> Arith:
    """x, but at least `low` and at most `high`: public ring arrays of x's shape or 0-d, low <= high.

    `bound` must hold for the distances of x from both.
    """
    bottom = p.public(np.array(np.broadcast_to(low, x.shape)))
    top = p.public(np.array(np.broadcast_to(high, x.shape)))
    under, over = await gather(p.less_than(x, bottom, bound), p.less_than(top, x, bound))
    to_bottom, to_top = await gather(p.mul_bit(under, p.sub(bottom, x)), p.mul_bit(over, p.sub(top, x)))
    return p.add(x, p.add(to_bottom, to_top))


async def _position(p: Protocol, x: Arith, axis: int, bound: int | None, largest: bool) -> Arith:
    _, place = await _tournament(p, x, axis, bound, largest, True)
    if place is None:
        return p.public(p.constant(0, tuple(np.delete(x.shape, axis))))
    return await p.b2a(place)


async def _tournament(
    p: Protocol, x: Arith, axis: int, bound: int | None, largest: bool, places: bool
) -> tuple[Arith, Bool | None]:
    """(the winner, its position in bits) along an axis in ceil(log2 n) stages.

    Neighbours meet, and the later wins only if it is strictly better: so the first of equals wins. The position grows
    by one bit a stage, the one that says who won; the bits below are those of the winner. Who has no neighbour goes on
    as the earlier of a pair. The axis is moved to the front, which keeps slices of bits whole.
    """
    x = x.map(lambda part: np.ascontiguousarray(np.moveaxis(part, axis, 0)))
    place: Bool | None = None
    while x.shape[0] > 1:
        pairs, odd = divmod(x.shape[0], 2)
        first, second = _every(x, 0, 2 * pairs, 2), _every(x, 1, 2 * pairs, 2)
        later = await (p.less_than(first, second, bound) if largest else p.less_than(second, first, bound))
        winner, low = await gather(p.select(later, second, first), _follow(p, later, place, pairs))
        last = _every(x, 2 * pairs, x.shape[0], 1)
        x = concat([winner, last], 0) if odd else winner
        if places:
            bits = later if low is None else stack([low, later])
            if odd:
                end = p.public_bits(Bits.zeros(last.shape, 1))
                end = end if place is None else stack([_rows(place, 2 * pairs, 2 * pairs + 1, 1), end])
                bits = concat_bits([bits, end], 0)
            place = bits
    drop = x.shape[1:]
    return x.reshape(drop), None if place is None else place.reshape(drop)


async def _follow(p: Protocol, later: Bool, place: Bool | None, pairs: int) -> Bool | None:
    """The position bits of the winners."""
    if place is None:
        return None
    first, second = _rows(place, 0, 2 * pairs, 2), _rows(place, 1, 2 * pairs, 2)
    return p.xor(first, await p.and_(repeat(later, place.width), p.xor(first, second)))


def _every(x: Arith, start: int, stop: int, step: int) -> Arith:
    return x.map(lambda part: np.ascontiguousarray(part[start:stop:step]))


def _rows(x: Bool, start: int, stop: int, step: int) -> Bool:
    zeros, ones = (0,) * (len(x.shape) - 1), (1,) * (len(x.shape) - 1)
    return x.map(lambda part: part.slice((start, *zeros), (stop, *x.shape[1:]), (step, *ones)))

"""Cheetah: reciprocals, quotients, roots and logarithms, from a mantissa.

x is moved up to c = x 2^E, below 1 in absolute value and not far below it. The function of c is a trigonometric sum
(`Sums._harmonics`), and what 2^E does to that is one product, or for the logarithm none.

E need not be exact: any c in the reach of the sum will do. So x is never cut into its bits. With x = u - v, u and -v
its parts, floor(u / 2^j) and floor(v / 2^j) are less than one further or less far apart than x / 2^j. Where |x| < 2^j
they are equal or neighbours, and that they are only where |x| < 2^(j+1): a test that takes no carry (`_below`). A few
of them, each of half of the bits that are left, move x by a shift each; a last one of 7 bits is finer, and says the
sign as well, and whether x is 0 (`_normalised`).

What each message hides is argued in transfers.md. Edges and errors: docs/reference/accuracy.md. `bound`:
|x| < 2^(bound-1) as a ring integer; None promises |x| < 2^(k-2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import ring
from ..runtime import cost, gather
from . import derived
from . import transfer_costs as costs
from .bits import Bits
from .derived import series
from .protocol import Arith, Array, Bool, full
from .sums import U64, WIDE, low_bits, scaled, word

if TYPE_CHECKING:
    from .cheetah import Cheetah

Function = Callable[..., Coroutine[Any, Any, Arith]]

LEFT, LEFT_EVEN = (45, 23, 12, 7, 4), (34, 18, 10, 6, 4)
"""Bits that are left of x after each test: of l bits and a shift s, s + 1 bits are left if it fails, else l - s. With
even ones all shifts are even, so that half of E is whole."""

LAST = 7
"""Bits of the word by which c, with no more than four bits left, is found to be below some bounds. It counts 1/32."""

DOUBLED, QUADRUPLED = (4, 3, 2), (3,)
"""The bounds, powers of two: 1/2, 1/4 and 1/8, below each of which c is doubled, so that |c| > 3/8; or 1/4 alone, below
which it is quadrupled, so that |c| > 7/32. Each is missed by less than 1/32."""

POINT = WIDE - 8
"""Fraction bits of the sums, whose terms are below 16: factors are below 2^26."""

DIGITS = 23
"""Fraction bits of a function of the mantissa, where there is room for them: with the 8 bits that sums have before the
point they fit a ring of 32 bits."""


# ---- the mantissa ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Normal:
    """What one party has of it: its parts of c 2^(k-2), of the scale, of [x < 0] and [x = 0], and of the bits by which
    c was moved, each with its shift."""

    c: Array
    scale: Array
    negative: Bits
    zero: Bits
    moves: list[tuple[int, Bits]]


def bits_of(k: int, bound: int, halves: int = 2) -> int:
    """Bits that x may have: an even number of them where E is halved."""
    bits = max(min(int(bound) - 1, int(k) - 2), LEFT[-1])
    return bits + bits % 2 if halves % 2 else bits


def _shifts(bits: int, halves: int) -> list[int]:
    """Of each test."""
    found = []
    for left in LEFT_EVEN if halves % 2 else LEFT:
        if bits > left:
            found.append(bits - left)
            bits = left
    return found


def _bounds(halves: int) -> tuple[int, ...]:
    return QUADRUPLED if halves % 2 else DOUBLED


def moves_of(k: int, bound: int) -> int:
    """Of a logarithm."""
    return len(_shifts(bits_of(k, bound), 0)) + len(DOUBLED)


def normal_rounds(n: int, k: int, bound: int, halves: int) -> Any:
    """Of `_normalised`."""
    found: Any = 0
    for shift in _shifts(bits_of(k, bound, halves), halves):
        found = found + costs.below_rounds(n, shift + 2) + costs.mul_bit_rounds(2)
    return found + costs.near_rounds(n) + costs.mul_bit_rounds(2)


def normal_bits(k: int, n: int, bound: int, halves: int) -> Any:
    """Of `_normalised`."""
    bounds, moved = len(_bounds(int(halves))), 2 if halves else 1
    total = costs.near_bits(n, LAST, LAST, bounds + 2) + costs.b2a_bits(k, n, 1, 2)
    total += costs.times_bits(k, n, bounds, moved)
    for shift in _shifts(bits_of(k, bound, halves), halves):
        total += costs.below_bits(n, shift + 2) + costs.times_bits(k, n, 1, moved)
    return total


@cost(rounds="normal_rounds(n, k, l, halves)", bits="normal_bits(k, n, l, halves)")
async def _normalised(p: Cheetah, x: Array, bits: int, halves: int) -> Normal:
    """Of |x| < 2^bits, flat: c 2^bits = x 2^E. The scale is 2^E for two halves, 2^(E/2) for one, for -1
    2^((bits - 2 - E) / 2), and there is none for 0. Of x = 0 both are what they are of 1.
    """
    k, n, bounds = p.k, x.size, _bounds(halves)
    c = ring.shl(x, k - 2 - bits)
    scale = full(1 if p.party.rank == 0 else 0, (n,), p.dtype)
    moves = []

    async def move(test: Bits, factor: int) -> None:
        """Times the factor where the test says so; where it has more than a bit, times 2 for each."""
        nonlocal c, scale
        more, *of_scale = await p._times(test, c, *([scale] if halves else []))
        c = ring.add(c, ring.mul(more, p.constant(factor - 1)))
        for found in of_scale:
            chosen = ring.sub(scale, found) if halves < 0 else found
            root = math.isqrt(factor) if halves % 2 else factor
            scale = ring.add(scale, ring.mul(chosen, p.constant(root - 1)))

    for shift in _shifts(bits, halves):
        test = await p._below(c, shift + 2)
        await move(test, 1 << shift)
        moves.append((shift, test))
    number, other = (Bits.from_ring(ring.shr(part, k - LAST), LAST) for part in (c, ring.neg(c)))
    answers = (await p._near(number, other, LAST, (*bounds, 0), 1))[:, 0]
    tests, zero, negative = (Bits(answers[rows], (n,)) for rows in (slice(-2), slice(-2, -1), slice(-1, None)))
    last = 2 if halves % 2 else 1
    one, _ = await gather(p.b2a(Bool((zero,))), move(tests, 1 << last))
    c = ring.add(c, ring.shl(one.parts[0], k - 2 - last))
    return Normal(c, scale, negative, zero, moves + [(last, tests.planes_at(i, i + 1)) for i in range(len(bounds))])


@cost(f"_harmonics(rows=2*terms, bytes={WIDE // 8}) + _lift(width={WIDE}, drop={POINT}-q)")
async def _mantissa_sum(p: Cheetah, c: Array, s: series.Series, q: int) -> Arith:
    """[f(c)] with q fraction bits."""
    addend = await p._harmonics(word(ring.shl(c, 1)), scaled(s, POINT, WIDE), 64)
    return await p._lift(addend, WIDE, POINT - q, c.shape)


# ---- the functions -----------------------------------------------------------------------------------------------


def _own(name: str) -> str:
    """The cost of a function that is computed in parts."""
    return f"derived.{name}.general() if k == 128 else in_parts(_{name}(), costs.sizes(n), {costs.IN_FLIGHT})"


async def _by_mantissa(
    p: Cheetah, x: Arith, bound: int | None, general: Function, part: Function, halves: int = 2
) -> Arith:
    """A function of one number in parts; the general one in the ring of 128 bits."""
    if p.k == 128:
        found: Arith = await general(p, x, bound)
    else:
        bits = bits_of(p.k, bound or p.k, halves)
        found = await p._parts(lambda x: part(p, x, bits), x)
    return found


@cost(rounds="costs.mul_bit_rounds(2)", bits="costs.times_bits(k, n, 1, numbers)")
async def _mirrored(p: Cheetah, negative: Bits, *numbers: Array) -> list[Array]:
    """[-x] where the bit is 1."""
    found = await p._times(negative, *numbers)
    return [ring.sub(x, ring.shl(part, 1)) for x, part in zip(numbers, found, strict=True)]


@cost(
    f"""
    _normalised(halves=2) + _mirrored(numbers=2)
    + gather(_mantissa_sum(terms={len(series.NEAR_RECIPROCAL.cos)}), trunc(d=max(-point, 0)))
    """
)
async def _inverse(p: Cheetah, x: Arith, bits: int, q: int, point: int) -> tuple[Arith, Arith]:
    """(1/|c| with q fraction bits, 2^(E + point) with the sign of x), flat, for x 2^E = c 2^bits."""
    normal = await _normalised(p, x.parts[0].reshape(-1), bits, 2)
    c, power = await _mirrored(p, normal.negative, normal.c, normal.scale)
    scale = p.shl(Arith((power,)), max(point, 0))
    inverse, scale = await gather(
        _mantissa_sum(p, c, series.NEAR_RECIPROCAL, q),
        p.trunc(scale, max(-point, 0)),
    )
    return inverse, scale


@cost(_own("reciprocal"))
async def reciprocal(p: Cheetah, x: Arith, bound: int | None = None) -> Arith:
    """[1/x] for x of any sign; 0 counts as the smallest positive number, so that 1/0 = 2^f."""
    return await _by_mantissa(p, x, bound, derived.reciprocal.general, _reciprocal)


def _guard(k: int, f: int, bits: int) -> int:
    """Fraction bits of the scale of a reciprocal: two are enough, one in a small ring; there are fewer, or it counts
    more than a step, where no number is so large that it needs them."""
    return min(2 if k > 32 else 1, bits - 2 * f)


def _digits(k: int, f: int, bits: int) -> int:
    """Fraction bits of the inverse of the mantissa of a reciprocal."""
    return min(k - 4 - 2 * f - _guard(k, f, bits), DIGITS)


def _drop(k: int, f: int, bits: int) -> int:
    """What their product has too many."""
    return _digits(k, f, bits) + _guard(k, f, bits)


@cost(
    """
    _inverse(q=_digits(k, f, bits_of(k, l)), point=2*f+_guard(k, f, bits_of(k, l))-bits_of(k, l))
    + mul_trunc(d=max(_drop(k, f, bits_of(k, l)), 0))
    """
)
async def _reciprocal(p: Cheetah, x: Arith, bits: int) -> Arith:
    """2^(2f) / x = 2^(2f - bits + E) / c."""
    f, q, drop = p.fraction_bits, _digits(p.k, p.fraction_bits, bits), _drop(p.k, p.fraction_bits, bits)
    inverse, scale = await _inverse(p, x, bits, q, 2 * f + _guard(p.k, f, bits) - bits)
    return (await p.mul_trunc(inverse, p.shl(scale, max(-drop, 0)), max(drop, 0))).reshape(x.shape)


@cost(_own("divide"))
async def divide(p: Cheetah, x: Arith, y: Arith, bound: int | None = None, bound_x: int | None = None) -> Arith:
    """[x / y] for y of any sign, |x / y| < 2^(k-2-2f); y = 0 counts as the smallest positive number.

    `bound` is that of y. x must be encodable, or below 2^(bound_x-1). The larger one of y and of the quotient, the less
    exact.
    """
    if p.k == 128:
        return await derived.divide.general(p, x, y, bound, bound_x)
    bits, room = bits_of(p.k, bound or p.k), _room(p.k, p.fraction_bits, bound_x or p.k - p.fraction_bits - 1)
    found: Arith = await p._parts(lambda x, y: _divide(p, x, y, bits, room), x, y)
    return found


def _room(k: int, f: int, bound_x: int) -> int:
    """Fraction bits of the inverse of a quotient. With more than f x times 2^room would leave the ring."""
    return max(min(k - 3 - bound_x, f), 0)


def _point(f: int) -> int:
    """Fraction bits of the scale of a quotient, which is below 2^(k-2-f), whatever x is."""
    return max(f - 2, 0)


ROOM = "_room(k, f, given(bound_x, k-f-1))"


@cost(f"_inverse(q={ROOM}, point=f+_point(f)-bits_of(k, l)) + mul_trunc(d={ROOM}) + mul_trunc(d=_point(f))")
async def _divide(p: Cheetah, x: Arith, y: Arith, bits: int, room: int) -> Arith:
    """2^f x / y = x 2^(f - bits + E) / c."""
    f = p.fraction_bits
    inverse, scale = await _inverse(p, y, bits, room, f + _point(f) - bits)
    product = await p.mul_trunc(x, inverse.reshape(y.shape), room)
    return await p.mul_trunc(product, scale.reshape(y.shape), _point(f))


@cost(_own("sqrt"))
async def sqrt(p: Cheetah, x: Arith, bound: int | None = None) -> Arith:
    """[sqrt x], 0 for x <= 0."""
    return await _by_mantissa(p, x, bound, derived.sqrt.general, _sqrt, 1)


def _root_digits(k: int, bits: int) -> int:
    """Fraction bits of the root of a mantissa, so that there is room for its product with the scale."""
    return min(k - 2 - bits // 2, DIGITS)


@cost(
    f"""
    _normalised(halves=-1)
    + gather(_mantissa_sum(terms={len(series.NEAR_SQRT.cos)}, q=_root_digits(k, bits_of(k, l, 1))), mul_bit())
    + mul_trunc(d=_root_digits(k, bits_of(k, l, 1)) - 1 - f // 2)
    """
)
async def _sqrt(p: Cheetah, x: Arith, bits: int) -> Arith:
    """sqrt(2^f x) = sqrt(c) 2^((bits - 2 - E) / 2) 2^(1 + f/2)."""
    f, q = p.fraction_bits, _root_digits(p.k, bits)
    normal = await _normalised(p, x.parts[0].reshape(-1), bits, -1)
    root, missing = await gather(
        _mantissa_sum(p, normal.c, _odd(series.NEAR_SQRT, f), q),
        p._times(normal.negative ^ normal.zero, normal.scale),
    )
    scale = Arith((ring.sub(normal.scale, missing[0]),))
    return (await p.mul_trunc(root, scale, q - 1 - f // 2)).reshape(x.shape)


def _odd(s: series.Series, f: int) -> series.Series:
    """Times the root of two if f is odd."""
    root = math.sqrt(2) if f % 2 else 1.0
    return series.Series(s.constant * root, tuple(c * root for c in s.cos), tuple(d * root for d in s.sin), s.error)


@cost(_own("rsqrt"))
async def rsqrt(p: Cheetah, x: Arith, bound: int | None = None) -> Arith:
    """[1 / sqrt x]; x <= 0 counts as the smallest positive number, so that it gives 2^(f/2)."""
    return await _by_mantissa(p, x, bound, derived.rsqrt.general, _rsqrt, 1)


def _inverse_root_digits(k: int, f: int, bits: int) -> int:
    """Fraction bits of the inverse root of a mantissa, no fewer than the scale lacks."""
    return max(min(k - 3 - bits // 2, DIGITS), (3 * f - bits) // 2)


@cost(
    f"""
    _normalised(halves=1)
    + _mantissa_sum(terms={len(series.NEAR_RSQRT.cos)}, q=_inverse_root_digits(k, f, bits_of(k, l, 1)))
    + mul_trunc(d=_inverse_root_digits(k, f, bits_of(k, l, 1)) - (3*f - bits_of(k, l, 1)) // 2) + mul_bit()
    """
)
async def _rsqrt(p: Cheetah, x: Arith, bits: int) -> Arith:
    """2^(3f/2) / sqrt(x) = 2^((3f - bits + E) / 2) / sqrt(c)."""
    f, q = p.fraction_bits, _inverse_root_digits(p.k, p.fraction_bits, bits)
    normal = await _normalised(p, x.parts[0].reshape(-1), bits, 1)
    inverse = await _mantissa_sum(p, normal.c, _odd(series.NEAR_RSQRT, f), q)
    found = await p.mul_trunc(inverse, Arith((normal.scale,)), q - (3 * f - bits) // 2)
    lowest = p.public(p.constant(round(2 ** (1.5 * f)), found.shape))
    return (await p.select(Bool((normal.negative,)), lowest, found)).reshape(x.shape)


@cost(_own("log"))
async def log(p: Cheetah, x: Arith, bound: int | None = None) -> Arith:
    """[log x]; x <= 0 counts as the smallest positive number, so that it gives -f ln 2."""
    return await _by_mantissa(p, x, bound, derived.log.general, _log)


OF_LOG = WIDE - 8
"""Fraction bits of a logarithm's sum, which is below 64."""


@cost(
    f"""
    _normalised(halves=0)
    + gather(_harmonics(rows={2 * len(series.NEAR_LOG.cos)}, bytes={WIDE // 8}), _numbers(m=moves_of(k, l)))
    + _lift(width={WIDE}, drop={OF_LOG}-f) + mul_bit()
    """
)
async def _log(p: Cheetah, x: Arith, bits: int) -> Arith:
    """log x = log c + (bits - f - E) ln 2, all in one sum."""
    f = p.fraction_bits
    normal = await _normalised(p, x.parts[0].reshape(-1), bits, 0)
    constant = series.NEAR_LOG.constant + (bits - f) * math.log(2)
    addend, numbers = await gather(
        p._harmonics(word(ring.shl(normal.c, 1)), scaled(series.NEAR_LOG, OF_LOG, WIDE, constant), 64),
        _numbers(p, [test for _, test in normal.moves]),
    )
    for (shift, _), number in zip(normal.moves, numbers, strict=True):
        each = full(-round(math.log(2) * 2**OF_LOG) * shift, (), U64)
        addend = ring.add(addend, ring.mul(number, each))
    found = await p._lift(low_bits(addend, WIDE), WIDE, OF_LOG - f, normal.c.shape)
    lowest = p.public(p.constant(round(-f * math.log(2) * 2**f), found.shape))
    return (await p.select(Bool((normal.negative,)), lowest, found)).reshape(x.shape)


@cost(rounds="costs.asked(2)", bits="costs.numbers_bits(n, m)")
async def _numbers(p: Cheetah, bits: list[Bits]) -> Array:
    """This party's parts mod 2^64 of the bits as numbers, (bits, elements): b ^ b' = b + b' - 2 b b'."""
    own = np.stack([b.to_ring(U64) for b in bits])
    flat, asks = own.reshape(-1), p.party.rank == 1
    planes = Bits.from_ring(flat, 1) if asks else None
    twice = await p._scaled(1 - p.party.rank, planes, None if asks else flat, 1, 1, flat.size, U64)
    return ring.sub(own, twice.reshape(own.shape))

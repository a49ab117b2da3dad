"""ABY3: elementary functions of x = a + c, evaluated as functions of the two addends.

The first addend a is known to party 0, the second c to parties 1 and 2 (aby3.py). A sum of products "function of a
times function of c" costs one message of party 0 per product and one exchange of parties 1 and 2. Three kinds of
function have that form for any split of x:

* trigonometric sums, by the addition theorems: `_fourier`. The angle is a word mod 2^64, so no wrap exists.
* powers of two, in Z_M with M = 2^128 - 1, where 2 has order 128: `_power`. The exponent counts mod 128.
* x times a power of two, likewise: `_scale`.

sin and cos are such sums of one term; sigmoid, tanh and erf are longer ones with two comparisons that cut off what is
beyond the sum's reach; exp is a power of two with two comparisons. The others first bring x to m in [1/2, 1],
x = m 2^E: bits of x, the place of the highest, E as an additive share mod 256 (`_length`), 2^-E as a share (`_power`),
one product; then a trigonometric sum of m.

What each message hides is argued in aby3_functions.md. Edges and errors: docs/reference/accuracy.md. Common arguments:

* `bound`: |x| < 2^(bound-1) as a ring integer; None promises |x| < 2^(k-2).
* Party 0 passes None where the others have a half of something, and returns None where they return one.
* An addend that a party knows is called `mine`: a at party 0, c at the others, always one-dimensional.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import approx, ring
from ..runtime import Spec, cost, gather
from . import derived
from .derived import series
from .derived.leading import leading_one, repeat, stack
from .protocol import Arith, Array, Bool, full
from .sums import (
    POINT,
    STEPS,
    WAVES,
    WIDE,
    Step,
    Sum,
    ceiling_of_exp,
    circle,
    coarser,
    cut_high,
    cut_low,
    end,
    floor_of_exp,
    largest,
    scaled,
    step_bytes,  # noqa: F401  # of formulas
    step_sum,
    within,
    word,
)

if TYPE_CHECKING:
    from .aby3 import Aby3

U8, U32, U64 = np.dtype(np.uint8), np.dtype(np.uint32), np.dtype(np.uint64)

DIGITS = 24
"""Fraction bits of a mantissa where there is room for them."""

AHEAD = "sends(0, 2)"
MEET = "gather(sends(1, 2), sends(2, 1))"
"""Whose messages make rounds: of party 0, which waits for nobody here, and of the others, who tell each other."""

PART = 1 << 15
IN_FLIGHT = 8
"""Elements of a part where there are more than `aby3.PART`, and parts that are under way at a time: one of a sigmoid
takes 5 MB, and stays in the cache of a core better than a larger one."""

ENOUGH = 20
"""With less room than this for a mantissa times a power of two, the product is made by `_scale`, which needs none."""


def _in_parts(
    p: Aby3, operation: Callable[..., Coroutine[Any, Any, Arith]], *shares: Arith
) -> Coroutine[Any, Any, Arith]:
    """`Aby3._parts`, for operations that take much memory for each element."""
    return p._parts(operation, *shares, limit=IN_FLIGHT, size=PART)


# ---- exp -----------------------------------------------------------------------------------------------------------


LOW, HIGH = "cut_low(f, l, given(low, -2**k))", "cut_high(k, f, l, given(high, 2**k))"


@cost(
    f"""
    derived.exp.general() if k == 128 else
    gather(_at_least(drop=f) if {LOW} else 0, _at_least(drop=max(f-15, 0)) if {HIGH} else 0)
    + _power(gated={LOW} or {HIGH}) + (_times() if {HIGH} else 0) + join()
    """
)
async def exp(
    p: Aby3, x: Arith, bound: int | None = None, low: float | None = None, high: float | None = None
) -> Arith:
    """[e^x], between 0 and the largest number that can be encoded.

    `low` and `high` promise low <= x <= high, as `bound` does: a comparison is left out for each limit that is within
    what the power of two can hold, about -17 and 18. Else: 0 below -(f+1) ln 2, the largest number above its logarithm.
    """
    if p.k == 128:
        return await derived.exp.general(p, x, bound, low, high)
    return await _in_parts(p, lambda part: _exp(p, part, bound, low, high), x)


async def _exp(p: Aby3, x: Arith, bound: int | None, low: float | None, high: float | None) -> Arith:
    f, width = p.fraction_bits, bound or p.k
    low_cut = cut_low(f, width, -math.inf if low is None else low)
    high_cut = cut_high(p.k, f, width, math.inf if high is None else high)
    above = below = None
    if low_cut:
        below = _at_least(p, x, f, -floor_of_exp(f), width)
    if high_cut:
        coarse = max(f - 15, 0)
        slack = 2 if coarse else 0
        above = _at_least(p, x, coarse, math.floor(ceiling_of_exp(p.k, f) * 2 ** (f - coarse)) - slack, width)
    tests = await gather(*(test for test in (below, above) if test is not None))
    inside = tests[0] if low_cut else None
    over = tests[-1] if high_cut else None
    if over is not None:
        inside = p.not_(over) if inside is None else p.xor(inside, over)
    exponent = _circle(p, x, math.log2(math.e) / 128)
    gate = None if inside is None else _flags(p, inside)
    # 2^(exponent + 64 + f) / 2^64
    (half,) = await _power(p, exponent, 64 + f, None, gate, [0])
    if over is not None:
        extra = await _times(p, _flags(p, over), largest(p.k, f))
        half = None if half is None or extra is None else ring.add(half, extra)
    return await _joined(p, half, x.shape)


@cost("msb(l=min(l+1, k) - drop)")
async def _at_least(p: Aby3, x: Arith, drop: int, limit: int, bound: int) -> Bool:
    """[x >= t] for a t between limit 2^drop and (limit + 2) 2^drop that depends on the sharing; limit, if drop is 0.

    Dropping the low bits of all three addends, which is local, makes the comparison cheaper and costs 2 in the last
    place of what is compared.
    """
    coarse = p.add_public(x.map(lambda part: ring.shr(part, drop)), -limit)
    return p.not_(await p.msb(coarse, min(bound + 1, p.k) - drop))


@cost("gather(_at_least(), _at_least())")
async def _beyond(p: Aby3, x: Arith, drop: int, low: int, high: int, bound: int) -> tuple[Array, Array]:
    """Flags of [low <= x < high] and of [x >= high], as `_at_least` has them: both comparisons in one."""
    coarse = x.map(lambda part: ring.shr(part, drop).reshape(-1))
    both = (p.add_public(coarse, -limit).parts for limit in (low, high))
    signs = await p.msb(Arith(tuple(map(np.concatenate, zip(*both, strict=True)))), min(bound + 1, p.k) - drop)
    flags = _flags(p, signs)
    under, not_over = flags[: x.size], flags[x.size :]
    over = np.bitwise_xor(not_over, 1) if p.party.rank == 0 else not_over
    return np.bitwise_xor(under, not_over), over


# ---- sigmoid, tanh and erf: odd steps about 1/2 --------------------------------------------------------------------


def _cost_of_step(name: str) -> str:
    """Both comparisons and the sum at once, then the choice; within reach the sum alone."""
    s = STEPS[name]
    sum_ = f"_fourier(rows={2 * len(s.series.sin)}, bytes=step_bytes(f))"
    tests = f"_beyond(drop=max(f-{3 + s.doubling}, 0))"
    return f"""
    derived.{name}.general() if k == 128 else
    ({sum_} if within(f, l, {s.eighths}) else gather({tests}, {sum_}) + _choose())
    + _narrowed(scale={POINT - s.doubling})
    """


@cost(_cost_of_step("sigmoid"))
async def sigmoid(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[1 / (1 + e^-x)], exactly 0 below -10.25 and 1 from 10.25 on."""
    return await _step_of(p, x, bound, "sigmoid")


@cost(_cost_of_step("tanh"))
async def tanh(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[tanh x], exactly -1 below -5.5 and 1 from 5.5 on."""
    return await _step_of(p, x, bound, "tanh")


@cost(_cost_of_step("erf"))
async def erf(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x], exactly -1 below -3.125 and 1 from 3.125 on."""
    return await _step_of(p, x, bound, "erf")


async def _step_of(p: Aby3, x: Arith, bound: int | None, name: str) -> Arith:
    if p.k == 128:
        return await getattr(derived, name).general(p, x, bound)
    s = STEPS[name]
    value = await _in_parts(p, lambda part: _step(p, part, bound, s), x)
    return p.add_public(value, -(s.doubling << p.fraction_bits)) if s.doubling else value


async def _step(p: Aby3, x: Arith, bound: int | None, s: Step) -> Arith:
    """[2^d g(x)].

    Two comparisons in 2^-(3+d), each off by at most two, decide between 0, the sum and 1, so that in a zone of that
    width either may be taken: 1 - sigmoid(10) = 4.5e-5. A bound within the sum's reach leaves them out: there is
    nothing to decide, and the differences from the limits would not fit its bits. The sum's finest digits are dropped
    from both halves, then all this is in Z_2^32, with 29 fraction bits; one conversion at the end brings the result to
    the ring.
    """
    f, bits = p.fraction_bits, bound or p.k
    eighths = max(f - 3 - s.doubling, 0)
    edge = end(f, s.eighths) >> eighths
    slack = 2 if eighths else 0
    phase, sum_ = _circle(p, x, 1 / s.period), step_sum(s, f)
    if within(f, bits, s.eighths):
        chosen = _coarser(await _fourier(p, phase, sum_), f)
    else:
        (inside, over), half = await gather(
            _beyond(p, x, eighths, -edge, edge - slack, bits),
            _fourier(p, phase, sum_),
        )
        chosen = await _choose(p, inside, over, _coarser(half, f), 1 << POINT, x.size)
    return await _narrowed(p, chosen, POINT - s.doubling, x.shape)


def _coarser(half: Array | None, f: int) -> Array | None:
    return None if half is None else coarser(half, f)


@cost("_lift(width=32, drop=max(scale-f, 1))")
async def _narrowed(p: Aby3, half: Array | None, scale: int, shape: tuple[int, ...]) -> Arith:
    """[z] from halves of z 2^scale in Z_2^32."""
    drop = max(scale - p.fraction_bits, 1)
    return p.shl(await _lift(p, half, 32, drop, shape), p.fraction_bits + drop - scale)


# ---- sine and cosine: sums of one term ------------------------------------------------------------------------------


WAVE = f"_fourier(rows=2, bytes={WIDE // 8}) + _lift(width={WIDE}, drop={WIDE - 4}-f)"


@cost(f"derived.sin.general() if k == 128 else {WAVE}")
async def sin(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[sin x]: products of one term. The angle is right to |x| 2^(f-k-1) turns."""
    return await _wave_of(p, x, bound, "sin")


@cost(f"derived.cos.general() if k == 128 else {WAVE}")
async def cos(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[cos x]. As `sin`."""
    return await _wave_of(p, x, bound, "cos")


async def _wave_of(p: Aby3, x: Arith, bound: int | None, name: str) -> Arith:
    if p.k == 128:
        return await getattr(derived, name).general(p, x, bound)
    return await _in_parts(p, lambda part: _wave(p, part, WAVES[name]), x)


async def _wave(p: Aby3, x: Arith, one: series.Series) -> Arith:
    half = await _fourier(p, _circle(p, x, 1 / (2 * math.pi)), scaled(one, WIDE - 4, WIDE))
    return await _lift(p, half, WIDE, WIDE - 4 - p.fraction_bits, x.shape)


@cost("_reshared(w=32) + _fourier(rows=3, bytes=4)")
async def _choose(p: Aby3, inside: Array, over: Array, half: Array | None, one: int, n: int) -> Array | None:
    """Halves of inside * z + over * one in Z_2^32, from halves of z.

    With z shared anew as a + c and a bit b = u ^ v = v + u (1 - 2v):  b z = v z + (u a)(1 - 2v) + u ((1 - 2v) c), and
    v z is local at parties 1 and 2.
    """
    mine = ring.cast(await _reshared(p, half, n, U32), U64)
    i, o = ring.cast(inside, U64), ring.cast(over, U64)
    none = Sum((), (), (), 0, 4)
    if half is None:
        await _fourier(p, mine, none, left=[ring.mul(i, mine), i, o])
        return None
    i_sign, o_sign = _plus_minus(i), _plus_minus(o)
    right = [i_sign, ring.mul(i_sign, mine), ring.mul(o_sign, full(one, (), U64))]
    mixed = await _fourier(p, mine, none, right=right)
    assert mixed is not None
    local = ring.mul(i, half)
    if p.party.rank == 1:
        local = ring.add(local, ring.mul(o, full(one, (), U64)))
    total: Array = ring.and_(ring.add(mixed, local), full(2**32 - 1, (n,), U64))
    return total


# ---- functions of a mantissa ---------------------------------------------------------------------------------------


@cost("mul_trunc(n=1)")
async def _mul_trunc(p: Aby3, x: Arith, y: Arith, d: int) -> Arith:
    """`mul_trunc` in the form with fewer rounds, whatever the number of elements: a part does not know the whole's."""
    return await p._parts_in_place(lambda x, y, at: p._reduced(p._cross(x, y), d, 1, at), x, y)


@cost(
    f"""
    derived.reciprocal.general() if k == 128 else
    _signed_inverse(scales=1, q=_reciprocal_digits(k, f)) + _mul_trunc(d=_reciprocal_digits(k, f)+_guard(k))
    if _reciprocal_digits(k, f) >= {ENOUGH} else
    _signed_inverse(scales=0, q={DIGITS}) + _times_power(guard=0)
    """
)
async def reciprocal(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[1/x] for x of any sign; 0 counts as the smallest positive number, so that 1/0 = 2^f."""
    if p.k == 128:
        return await derived.reciprocal.general(p, x, bound)
    return await _in_parts(p, lambda part: _reciprocal(p, part, bound or p.k), x)


def _guard(k: int) -> int:
    return 2 if k > 32 else 1


def _reciprocal_digits(k: int, f: int) -> int:
    """Fraction bits of the mantissa of a reciprocal."""
    return min(k - 4 - 2 * f - _guard(k), DIGITS)


async def _reciprocal(p: Aby3, x: Arith, width: int) -> Arith:
    f, guard = p.fraction_bits, _guard(p.k)
    q = _reciprocal_digits(p.k, f)
    if q >= ENOUGH:
        inverse, (scale,), _, _ = await _signed_inverse(p, x, width, q, [2 * f + guard])
        return await _mul_trunc(p, inverse, scale, q + guard)
    inverse, _, length, sign = await _signed_inverse(p, x, width, DIGITS, [])
    return await _times_power(p, inverse, _exponent(p, length, -1), 2 * f - DIGITS, sign)


@cost(
    f"""
    derived.divide.general() if k == 128 else
    _signed_inverse(scales=0, q=min(k - 2 - given(bound_x, k-f-1), {DIGITS})) + mul() + _times_power(guard=0)
    """
)
async def divide(p: Aby3, x: Arith, y: Arith, bound: int | None = None, bound_x: int | None = None) -> Arith:
    """[x / y] for y of any sign, |x / y| < 2^(k-2-2f); y = 0 counts as the smallest positive number.

    `bound` is that of y. x must be encodable, or below 2^(bound_x-1): the relative error is about 2^(bound_x - k + 1).
    """
    if p.k == 128:
        return await derived.divide.general(p, x, y, bound, bound_x)
    return await _in_parts(p, lambda a, b: _divide(p, a, b, bound or p.k, bound_x or p.k - p.fraction_bits - 1), x, y)


async def _divide(p: Aby3, x: Arith, y: Arith, width: int, l_x: int) -> Arith:
    f = p.fraction_bits
    q = min(p.k - 2 - l_x, DIGITS)
    inverse, _, length, sign = await _signed_inverse(p, y, width, q, [])
    # Of a large y the quotient is below 2^-64 of what `_scale` starts from, unless that is divisible by the rest.
    spare = max(min(width - 1, p.k - 2) + q - f - 64, 0)
    return await _times_power(p, await p.mul(x, inverse), _exponent(p, length, -1), f - q, sign, spare)


@cost("_scale() + join() + trunc(d=guard)")
async def _times_power(
    p: Aby3, x: Arith, exponent: Array, shift: int, sign: Array | None, spare: int = 0, guard: int = 0
) -> Arith:
    """[x * (-1)^sign * 2^(exponent + shift)], |x| < 2^(k-2).

    In Z_M digits below 2^-64 of the result would come back as its highest. So exponent + shift > -64 - spare for whole
    exponents: the low `spare` bits of both addends are cleared, which moves x by less than 2^spare and without bias.
    A power with a half in its exponent is the product of two rounded ones, with 54 digits after the point: room for
    them is made by `guard` more digits of the result, which are truncated.
    """
    mine = word(_mine(p, x))
    if spare:
        if p.party.rank == 0:
            mine = ring.add(mine, full((1 << spare) - 1, (), U64))
        mine = ring.shl(ring.shr(mine, spare), spare)
    half = await _scale(p, mine, exponent, p.k + shift + guard, sign)
    return await p.trunc(await _joined(p, half, x.shape), guard)


@cost(
    f"""
    a2b(w=l) + leading_one(w=l-1) + or_(w=1) + _length() + _power(gated=0) + gather(join(), join() if scales else 0)
    + mul() + _mantissa_sum(terms={len(series.RECIPROCAL.cos)})
    """
)
async def _signed_inverse(
    p: Aby3, x: Arith, width: int, q: int, scales: Sequence[int]
) -> tuple[Arith, list[Arith], Array, Array]:
    """For x = +-m 2^E: (1/m with q fraction bits, +-2^(s-E) for each s of `scales`, E and the sign as addends).

    E is the number of bits of |x|, or of |x| - 1 if x < 0: flipping all bits is local, negating is not. m is then 1
    where x is minus a power of two. x = 0 gives m = 1, E = 0.
    """
    bits = await p.a2b(x, width)
    negative = bits.bits_at(width - 1, width)
    place, found = await leading_one(p, p.xor(bits.bits_at(0, width - 1), repeat(negative, width - 1)))
    found = await p.or_(found, negative)
    length, sign = await _length(p, place, found), _flags(p, negative)
    halves = await _power(p, _exponent(p, length, -1), 64, sign, None, [p.k - 1, *scales])
    normaliser, *powers = await gather(*(_joined(p, half, x.shape) for half in halves))
    phase = await _mantissa(p, x, normaliser, found)
    inverse = await _mantissa_sum(p, phase, series.RECIPROCAL, q, x.shape)
    return inverse, powers, length, sign


SQRT = f"_mantissa_sum(terms={len(series.SQRT.cos)}, q={{q}})"


@cost(
    f"""
    derived.sqrt.general() if k == 128 else
    _positive_length() + _power(gated=0) + join() + mul() + (
    {SQRT.format(q=DIGITS)} + mul_bit() + _times_power(guard=_sqrt_guard(k, f))
    if _sqrt_digits(k, f, l) < {ENOUGH} else
    _power(gated=1) + gather({SQRT.format(q="_sqrt_digits(k, f, l)")}, join())
    + _mul_trunc(d=_sqrt_digits(k, f, l)))
    """
)
async def sqrt(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[sqrt x], 0 for x <= 0."""
    if p.k == 128:
        return await derived.sqrt.general(p, x, bound)
    return await _in_parts(p, lambda part: _sqrt(p, part, bound or p.k), x)


def _sqrt_digits(k: int, f: int, width: int) -> int:
    """Fraction bits of the mantissa of a square root."""
    return min(k - 3 - math.ceil((width - 1 + f) / 2), DIGITS)


def _sqrt_guard(k: int, f: int) -> int:
    """Digits to truncate where the product is made by `_scale`."""
    return max(DIGITS - 10 - f // 2 - (64 - k), 0)


async def _sqrt(p: Aby3, x: Arith, width: int) -> Arith:
    f, q = p.fraction_bits, _sqrt_digits(p.k, p.fraction_bits, width)
    positive, length = await _positive_length(p, x, width)
    # A garbage mantissa of x <= 0 is multiplied by 0 in the end.
    (normaliser,) = await _power(p, _exponent(p, length, -1), 64, None, None, [p.k - 1])
    phase = await _mantissa(p, x, await _joined(p, normaliser, x.shape), None)
    exponent = _exponent(p, length, 1, f, halved=True)
    if q < ENOUGH:
        mantissa = await p.mul_bit(positive, await _mantissa_sum(p, phase, series.SQRT, DIGITS, x.shape))
        guard = _sqrt_guard(p.k, f)
        return await _times_power(p, mantissa, exponent, -DIGITS, None, guard=guard)
    (scale,) = await _power(p, exponent, 64, None, _flags(p, positive), [0])
    mantissa, power = await gather(_mantissa_sum(p, phase, series.SQRT, q, x.shape), _joined(p, scale, x.shape))
    return await _mul_trunc(p, mantissa, power, q)


RSQRT = f"_mantissa_sum(terms={len(series.RSQRT.cos)}, q={{q}})"


@cost(
    f"""
    derived.rsqrt.general() if k == 128 else
    _positive_length() + _power(gated=1) + join() + mul() + (
    {RSQRT.format(q=DIGITS)} + _times_power(guard=_rsqrt_guard(k, f, l))
    if _rsqrt_digits(k, f) < {ENOUGH} else
    _power(gated=0) + gather({RSQRT.format(q="_rsqrt_digits(k, f)")}, join())
    + _mul_trunc(d=_rsqrt_room(k, f)))
    """
)
async def rsqrt(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[1 / sqrt x]; x <= 0 counts as the smallest positive number, so that it gives 2^(f/2)."""
    if p.k == 128:
        return await derived.rsqrt.general(p, x, bound)
    return await _in_parts(p, lambda part: _rsqrt(p, part, bound or p.k), x)


def _rsqrt_room(k: int, f: int) -> int:
    """Digits that the product of mantissa and power has below the point of the result."""
    return k - 4 - math.ceil(1.5 * f)


def _rsqrt_digits(k: int, f: int) -> int:
    """How many of them are the mantissa's."""
    return min(_rsqrt_room(k, f) * 3 // 4, DIGITS)


def _rsqrt_guard(k: int, f: int, width: int) -> int:
    """As `_sqrt_guard`."""
    return max(DIGITS - 9 - (3 * f - min(width - 1, k - 2)) // 2 - (64 - k), 0)


async def _rsqrt(p: Aby3, x: Arith, width: int) -> Arith:
    f = p.fraction_bits
    room, q = _rsqrt_room(p.k, f), _rsqrt_digits(p.k, f)
    positive, length = await _positive_length(p, x, width)
    (normaliser,) = await _power(p, _exponent(p, length, -1), 64, None, _flags(p, positive), [p.k - 1])
    phase = await _mantissa(p, x, await _joined(p, normaliser, x.shape), positive)
    if q < ENOUGH:
        mantissa = await _mantissa_sum(p, phase, series.RSQRT, DIGITS, x.shape)
        guard = _rsqrt_guard(p.k, f, width)
        return await _times_power(p, mantissa, _exponent(p, length, -1, 3 * f, halved=True), -DIGITS, None, guard=guard)
    guard = room - q
    exponent = _exponent(p, length, -1, 3 * f + 2 * guard, halved=True)
    (scale,) = await _power(p, exponent, 64, None, None, [0])
    mantissa, power = await gather(_mantissa_sum(p, phase, series.RSQRT, q, x.shape), _joined(p, scale, x.shape))
    return await _mul_trunc(p, mantissa, power, q + guard)


@cost(
    f"""
    derived.log.general() if k == 128 else
    _positive_length() + _power(gated=1) + join() + mul()
    + _fourier(rows={2 * len(series.LOG.cos) + 2}, bytes={WIDE // 8}) + _lift(width={WIDE}, drop={WIDE - 8}-f)
    """
)
async def log(p: Aby3, x: Arith, bound: int | None = None) -> Arith:
    """[log x]; x <= 0 counts as the smallest positive number, so that it gives -f ln 2."""
    if p.k == 128:
        return await derived.log.general(p, x, bound)
    return await _in_parts(p, lambda part: _log(p, part, bound or p.k), x)


async def _log(p: Aby3, x: Arith, width: int) -> Arith:
    """log m + (E - f) ln 2, the second part in the same sum of products as the first."""
    positive, length = await _positive_length(p, x, width)
    (normaliser,) = await _power(p, _exponent(p, length, -1), 64, None, _flags(p, positive), [p.k - 1])
    phase = await _mantissa(p, x, await _joined(p, normaliser, x.shape), positive)

    scale = WIDE - 8
    offset = series.LOG.constant - p.fraction_bits * math.log(2)
    sum_ = scaled(series.LOG, scale, WIDE, offset)
    # E = a + c mod 256 and E < 64: as integers E = a + c + 256 u v for a, c read as signed, u and v their signs.
    number, negative = ring.cast(length, U64, signed=True), ring.cast(ring.cast(length, U64, signed=True), U64)
    negative = ring.shr(negative, 63)
    ln2 = full(round(math.log(2) * 2**scale), (), U64)
    if p.party.rank == 0:
        await _fourier(p, phase, sum_, left=[number, negative])
        return await _lift(p, None, WIDE, scale - p.fraction_bits, x.shape)
    ones = full(1, number.shape, U64)
    right = [ring.mul(ones, ln2), ring.mul(ring.shl(negative, 8), ln2)]
    half = await _fourier(p, phase, sum_, right=right)
    assert half is not None
    if p.party.rank == 1:
        half = ring.and_(ring.add(half, ring.mul(number, ln2)), full(2**WIDE - 1, half.shape, U64))
    return await _lift(p, half, WIDE, scale - p.fraction_bits, x.shape)


@cost("a2b(w=l) + leading_one(w=l-1) + and_(w=log2(l-1) + 1) + _length()")
async def _positive_length(p: Aby3, x: Arith, width: int) -> tuple[Bool, Array]:
    """([x > 0], the number of bits of x as an addend mod 256): 0 for x <= 0."""
    bits = await p.a2b(x, width)
    place, found = await leading_one(p, bits.bits_at(0, width - 1))
    word = stack([place, found])
    word = await p.and_(word, p.not_(repeat(bits.bits_at(width - 1, width), word.width)))
    positive = word.bits_at(place.width, place.width + 1)
    return positive, await _length(p, word.bits_at(0, place.width), positive)


async def _mantissa(p: Aby3, x: Arith, normaliser: Arith, found: Bool | None) -> Array:
    """This party's addend of m 2^63 as a 64-bit angle, so that m in [1/2, 1] is a quarter to a half turn; m = 1 where
    `found` is 0. A bit times 2^(k-1) is a number without interaction: mod 2^k only its parity counts."""
    product = await p.mul(x, normaliser)
    if found is not None:
        missing = p.not_(found)
        top = Arith(tuple(ring.shl(part.to_ring(x.dtype), p.k - 1) for part in missing.parts))
        product = p.add(product, top)
    return word(_mine(p, product))


@cost(f"_fourier(rows=2*terms, bytes={WIDE // 8}) + _lift(width={WIDE}, drop={WIDE - 4}-q)")
async def _mantissa_sum(p: Aby3, phase: Array, s: series.Series, q: int, shape: tuple[int, ...]) -> Arith:
    """[f(m)] with q fraction bits, f in (-4, 4)."""
    scale = WIDE - 4
    half = await _fourier(p, phase, scaled(s, scale, WIDE))
    return await _lift(p, half, WIDE, scale - q, shape)


# ---- the three kinds of cross product --------------------------------------------------------------------------------


@cost(rounds=AHEAD, bits="8 * rows * bytes")
async def _fourier(
    p: Aby3, phase: Array, s: Sum, left: Sequence[Array] = (), right: Sequence[Array] = ()
) -> Array | None:
    """Halves of the sum at the angle shared as `phase`, plus the products of `left` and `right`, in Z_2^(8 bytes).

    Party 0 has `left` and sends; the others have `right` and get halves. 1 round.
    """
    party, n = p.party, phase.size
    rows = 2 * len(s.gains) + len(left or right)
    cost = n * (20 + 6 * rows)
    if party.rank == 0:
        key = party.key(0, 1)
        party.send(
            2,
            await party.compute(approx.fourier_left, phase, s.gains, list(left), s.bytes, [key], cost_ns=cost),
        )
        return None
    if party.rank == 1:
        given, constant = party.key(0, 1), s.constant
    else:
        given, constant = await party.recv(0, Spec((n * rows * s.bytes,), U8)), 0
    half: Array = await party.compute(
        approx.fourier_right, phase, s.cos, s.sin, list(right), s.bytes, given, constant, cost_ns=cost
    )
    return half


@cost(rounds=AHEAD, bits="256 if gated else 128")
async def _power(
    p: Aby3, exponent: Array, shift: int, sign: Array | None, gate: Array | None, rotations: Sequence[int]
) -> list[Array | None]:
    """For each r of `rotations` halves of (-1)^sign * gate * 2^(exponent / 2^57 + shift + r - 64), rounded, in Z_2^64.

    `exponent`, `sign` and `gate` are addends. 1 round.
    """
    party, n = p.party, exponent.size
    shift = (shift - 2 * approx.POWER_BITS) % 128
    turns = [r % 128 for r in rotations]
    cost = n * 25
    if party.rank == 0:
        key = party.key(0, 1)
        message = await party.compute(approx.power_left, exponent, shift, sign, gate, [key], cost_ns=cost)
        party.send(2, message)
        return [None] * len(turns)
    if party.rank == 1:
        given = party.key(0, 1)
    else:
        given = await party.recv(0, Spec((n * (2 if gate is None else 4),), U64))
    halves: list[Array | None] = await party.compute(
        approx.power_right, exponent, sign, gate, given, party.rank == 1, turns, cost_ns=cost
    )
    return halves


@cost(rounds=AHEAD, bits="384")
async def _scale(p: Aby3, x: Array, exponent: Array, shift: int, sign: Array | None) -> Array | None:
    """Halves of x * (-1)^sign * 2^(exponent / 2^57 + shift - 64), rounded, for |x| < 2^62 shared as 64-bit words.

    1 round.
    """
    party, n = p.party, x.size
    cost = n * 40
    if party.rank == 0:
        key, shift = party.key(0, 1), (shift - 2 * approx.POWER_BITS) % 128
        party.send(2, await party.compute(approx.scale_left, x, exponent, shift, sign, key, cost_ns=cost))
        return None
    given = party.key(0, 1) if party.rank == 1 else await party.recv(0, Spec((n * 6,), U64))
    half: Array = await party.compute(approx.scale_right, x, exponent, sign, given, cost_ns=cost)
    return half


@cost("_fourier(rows=1, bytes=8)")
async def _times(p: Aby3, bit: Array, c: int) -> Array | None:
    """Halves of bit * c in Z_2^64 for a bit shared as flags: v c + u (1 - 2v) c. 1 round."""
    wide = ring.cast(bit, U64)
    constant = full(c, (), U64)
    none = Sum((), (), (), 0, 8)
    if p.party.rank == 0:
        return await _fourier(p, wide, none, left=[wide])
    half = await _fourier(p, wide, none, right=[ring.mul(_plus_minus(wide), constant)])
    if half is None or p.party.rank == 2:
        return half
    total: Array = ring.add(half, ring.mul(wide, constant))
    return total


@cost(f"_fourier(rows=1, bytes={approx.LENGTH_BYTES}) + _reshared(w=8)")
async def _length(p: Aby3, place: Bool, found: Bool) -> Array:
    """This party's addend mod 256 of place + found, for a place of at most 6 bits. 2 rounds, 7 bytes an element."""
    nothing = p.xor(found, found)
    party, word = p.party, stack([place, *[nothing] * (6 - place.width), found])
    flat = ring.cast(p.bit_addend(word).reshape((word.size,)).to_ring(U32), U8)
    half = None
    if party.rank == 0:
        party.send(2, approx.length_left(flat, party.key(0, 1)))
    elif party.rank == 1:
        half = approx.length_right(flat, party.key(0, 1))
    else:
        half = approx.length_right(flat, await party.recv(0, Spec((flat.size * approx.LENGTH_BYTES,), U8)))
    return await _reshared(p, half, flat.size, U8)


# ---- from halves to shares -------------------------------------------------------------------------------------------


async def _joined(p: Aby3, half: Array | None, shape: tuple[int, ...]) -> Arith:
    """[half1 + half2] of 64-bit halves, in the protocol's ring. 1 round."""
    if half is not None:
        half = ring.cast(half, p.dtype).reshape(shape)
    return await p.join(half, shape)


@cost(rounds=MEET, bits="2*w")
async def _reshared(p: Aby3, half: Array | None, n: int, dtype: np.dtype) -> Array:
    """This party's addend of a fresh sharing of half1 + half2 in a small ring. 1 round."""
    party = p.party
    if half is None:
        return _plus(party.draw((n,), dtype, 0, 2), party.draw((n,), dtype, 0, 1))
    mask = party.draw((n,), dtype, 0, party.rank)
    hidden = _minus(half.astype(dtype), mask)
    return _plus(hidden, await party.exchange(3 - party.rank, hidden))


def _plus(x: Array, y: Array) -> Array:
    # Bytes are not a ring of the kernels; NumPy's sums of unsigned arrays wrap as they should.
    total: Array = np.add(x, y) if x.dtype == U8 else ring.add(x, y)
    return total


def _minus(x: Array, y: Array) -> Array:
    difference: Array = np.subtract(x, y) if x.dtype == U8 else ring.sub(x, y)
    return difference


@cost(rounds=f"{AHEAD} + {MEET} + join()", bits="8 * max(ceil((k - width + drop) / 8), 1) + 2 + join()")
async def _lift(p: Aby3, half: Array | None, width: int, drop: int, shape: tuple[int, ...]) -> Arith:
    """[round(z / 2^drop)] in the protocol's ring, from halves of z in Z_2^width, |z| < 2^(width-2).

    The product of two bits, and the shares.
    """
    party, n = p.party, int(np.prod(shape, dtype=np.int64))
    size = max(-(-(p.k - width + drop) // 8), 1)
    cost = n * 6
    if party.rank == 0:
        keys = party.key(0, 1), party.key(0, 2), party.key(0, 1)
        party.send(2, await party.compute(approx.lift_deal, n, size, *keys, cost_ns=cost))
        return await p.join(None, shape)
    assert half is not None
    key, first = party.key(0, party.rank), party.rank == 1
    products = party.key(0, 1) if first else await party.recv(0, Spec((n * size,), U8))
    theirs = await party.exchange(3 - party.rank, approx.lift_bits(half, width, key, first))
    wide = await party.compute(approx.lift_finish, half, width, drop, key, first, products, size, theirs, cost_ns=cost)
    return await _joined(p, wide, shape)


# ---- addends ---------------------------------------------------------------------------------------------------------


def _mine(p: Aby3, x: Arith) -> Array:
    first, second = p.addends(x)
    addend: Array | None = second if first is None else first
    assert addend is not None
    return np.ascontiguousarray(addend).reshape(-1)


def _flags(p: Aby3, bit: Bool) -> Array:
    """This party's addend (exclusive or) of a bit: 0 or 1 in a byte."""
    return p.bit_addend(bit).to_bool().reshape(-1).view(np.uint8)


def _circle(p: Aby3, x: Arith, turns: float) -> Array:
    """This party's addend of `turns` times the number x, as a word that counts 2^-64 turns."""
    return circle(_mine(p, x), turns, p.fraction_bits)


def _exponent(p: Aby3, length: Array, sign: int, constant: int = 0, halved: bool = False) -> Array:
    """This party's addend of sign * length + constant, or of half of it, as an exponent with 57 fraction bits."""
    point = 56 if halved else 57
    word = ring.shl(ring.cast(length, U64), point)
    word = ring.neg(word) if sign < 0 else word
    if p.party.rank == 0 and constant:
        word = ring.add(word, full(constant << point, (), U64))
    return word


def _plus_minus(flags: Array) -> Array:
    """1 - 2 * flags."""
    signs: Array = ring.sub(full(1, flags.shape, U64), ring.shl(flags, 1))
    return signs

"""Additive shares: elementary functions of x = x0 + ... + xn-1, from angles and exponents that are opened under a mask.

Two kinds of function have a form for which the parties need to know x only up to a shared random number r:

* trigonometric sums, by the addition theorems: with t = x - r opened, cos(k x) = cos(k t) cos(k r) - sin(k t) sin(k r)
  is a sum of what all know times what is shared. The angle is a word mod 2^64, so no wrap exists.
* powers of two, in Z_M with M = 2^128 - 1, where 2 has order 128: 2^y = 2^(y - r) 2^r.

sin and cos are such sums of one term; sigmoid, tanh and erf are longer ones, and exp is a power of two, with two
comparisons that run side by side with it and cut off what is beyond its reach.

The values at r, or another way to the same addends, are the protocol's matter: `Sums` says what it has to offer. What
each message hides is argued in additive_functions.md. Edges and errors: docs/reference/accuracy.md. `bound`:
|x| < 2^(bound-1) as a ring integer; None promises |x| < 2^(k-2).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import numpy as np

from .._core import ring
from ..runtime import cost, gather
from . import derived
from .additive import Additive
from .derived import series
from .parts import side_by_side, starts
from .protocol import Arith, Array, Bool, concat
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
)

PART = 1 << 15
IN_FLIGHT = 8
"""Elements of a part of a large array, and parts that are under way at a time."""

FINE = 20
"""With more fraction bits than this an angle of 32 bits is too coarse for a wave: all of it is opened."""


class Sums(Additive):
    """What a protocol on additive shares offers for the functions below. Addends are flat arrays of 64-bit words."""

    @abstractmethod
    async def _harmonics(self, angle: Array, s: Sum, width: int) -> Array:
        """This party's addend in Z_2^(8 bytes) of the sum at the angle of which `angle` is an addend. The highest
        `width` bits of an addend count, 32 or 64."""

    async def _power(self, exponent: Array, shift: int) -> Array:
        """This party's addend in Z_2^64 of 2^(y / 2^57 + shift - 64), rounded, for the exponent y of which `exponent`
        is an addend. Of protocols that take `exp` from here."""
        raise NotImplementedError

    @abstractmethod
    async def _lift(self, addend: Array, width: int, drop: int, shape: tuple[int, ...]) -> Arith:
        """[z / 2^drop], off by at most 1, from addends of z in Z_2^width, |z| < 2^(width-2)."""


async def _in_parts(operation: Callable[[Arith], Coroutine[Any, Any, Arith]], x: Arith) -> Arith:
    """The function of large arrays part by part, so that what is computed of one stays in a cache."""
    found: Arith = await (operation(x) if x.size <= PART else side_by_side(operation, (x,), IN_FLIGHT, PART))
    return found


def _sizes(n: int) -> list[int]:
    """Of these parts."""
    return [stop - start for start, stop in pairwise([*starts(int(n), PART), int(n)])]


# ---- exp -----------------------------------------------------------------------------------------------------------


LOW, HIGH = "cut_low(f, l, given(low, -2**k))", "cut_high(k, f, l, given(high, 2**k))"


REACH = 56
"""Bits of the largest power of two parties alone."""


def _takes_general(k: int, f: int, dealt: int) -> bool:
    """Whether the largest number that can be encoded is beyond the reach of powers: with few fraction bits."""
    return k == 128 or (dealt == 0 and k - 2 - f > REACH)


@cost(
    f"""
    derived.exp.general() if _takes_general(k, f, dealt) else
    in_parts(
        gather(
            _at_least(drop=_drop(f, members)) if {LOW} else 0,
            _at_least(drop=_drop(f-15, members)) if {HIGH} else 0,
            _power()
        ) + (gather(mul_bit(), b2a(w=1) if {HIGH} else 0) if {LOW} or {HIGH} else 0),
        _sizes(n), {IN_FLIGHT}
    )
    """
)
async def exp(
    p: Sums, x: Arith, bound: int | None = None, low: float | None = None, high: float | None = None
) -> Arith:
    """[e^x], between 0 and the largest number that can be encoded.

    `low` and `high` promise low <= x <= high, as `bound` does: a comparison is left out for each limit that is within
    what the power of two can hold, about -17 and 18. Else: 0 below -(f+1) ln 2, the largest number above its logarithm.
    """
    if _takes_general(p.k, p.fraction_bits, p.variables["dealt"]):
        return await derived.exp.general(p, x, bound, low, high)
    return await _in_parts(lambda part: _exp(p, part, bound, low, high), x)


async def _exp(p: Sums, x: Arith, bound: int | None, low: float | None, high: float | None) -> Arith:
    f, width = p.fraction_bits, bound or p.k
    power = _power_of_e(p, x)
    tests = []
    if cut_low(f, width, -math.inf if low is None else low):
        drop = _drop(f, p.n)
        tests.append(_at_least(p, x, drop, -floor_of_exp(f) << (f - drop), width))
    if is_cut := cut_high(p.k, f, width, math.inf if high is None else high):
        drop = _drop(f - 15, p.n)
        limit = math.floor(ceiling_of_exp(p.k, f) * 2 ** (f - drop)) - _slack(drop, p.n)
        tests.append(_at_least(p, x, drop, limit, width))
    value, *found = await gather(power, *tests)
    over = found.pop() if is_cut else None
    return await _chosen(p, value, found[0] if found else None, over, largest(p.k, f))


async def _power_of_e(p: Sums, x: Arith) -> Arith:
    """[e^x] within the reach of a power of two: 2^(y + 64 + f) / 2^64 for y = x log2(e)."""
    f = p.fraction_bits
    addend = await p._power(circle(_flat(x), math.log2(math.e) / 128, f), 64 + f)
    return Arith((ring.cast(addend, p.dtype).reshape(x.shape),))


# ---- sigmoid, tanh and erf: odd steps about 1/2 --------------------------------------------------------------------


def _cost_of_step(name: str) -> str:
    """Both comparisons beside the sum, then the choice; within reach the sum alone."""
    s = STEPS[name]
    sum_ = f"_step_within(rows={2 * len(s.series.sin)}, scale={POINT - s.doubling})"
    tests = f"_beyond(drop=_drop(f-{2 + s.doubling}, members))"
    return f"""
    derived.{name}.general() if k == 128 else
    in_parts({sum_} if within(f, l, {s.eighths}) else gather({tests}, {sum_}) + _chosen(), _sizes(n), {IN_FLIGHT})
    """


@cost(_cost_of_step("sigmoid"))
async def sigmoid(p: Sums, x: Arith, bound: int | None = None) -> Arith:
    """[1 / (1 + e^-x)], exactly 0 below -10.25 and 1 from 10.25 on."""
    return await _step_of(p, x, bound, "sigmoid")


@cost(_cost_of_step("tanh"))
async def tanh(p: Sums, x: Arith, bound: int | None = None) -> Arith:
    """[tanh x], exactly -1 below -5.5 and 1 from 5.5 on."""
    return await _step_of(p, x, bound, "tanh")


@cost(_cost_of_step("erf"))
async def erf(p: Sums, x: Arith, bound: int | None = None) -> Arith:
    """[2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x], exactly -1 below -3.125 and 1 from 3.125 on."""
    return await _step_of(p, x, bound, "erf")


async def _step_of(p: Sums, x: Arith, bound: int | None, name: str) -> Arith:
    if p.k == 128:
        return await getattr(derived, name).general(p, x, bound)
    s = STEPS[name]
    value = await _in_parts(lambda part: _step(p, part, bound, s), x)
    return p.add_public(value, -(s.doubling << p.fraction_bits)) if s.doubling else value


async def _step(p: Sums, x: Arith, bound: int | None, s: Step) -> Arith:
    """[2^d g(x)].

    Two comparisons, of which each is off by at most a quarter of 2^-d, decide between 0, the sum and 1, so that in a
    zone of that width either may be taken: 1 - sigmoid(10) = 4.5e-5. A bound within the sum's reach leaves them out.
    """
    f, bits = p.fraction_bits, bound or p.k
    if within(f, bits, s.eighths):
        return await _step_within(p, x, s)
    drop = _drop(f - 2 - s.doubling, p.n)
    edge = end(f, s.eighths) >> drop
    value, (above, over) = await gather(
        _step_within(p, x, s),
        _beyond(p, x, drop, -edge, edge - _slack(drop, p.n), bits),
    )
    return await _chosen(p, value, above, over, 1 << (f + s.doubling))


@cost("_harmonics(bytes=step_bytes(f), width=32) + _lift(width=32, drop=max(scale-f, 1))")
async def _step_within(p: Sums, x: Arith, s: Step) -> Arith:
    """[2^d g(x)] within the reach of the sum, whose finest digits are dropped from all addends, so that the conversion
    is one from Z_2^32."""
    f, scale = p.fraction_bits, POINT - s.doubling
    addend = await p._harmonics(circle(_flat(x), 1 / s.period, f), step_sum(s, f), 32)
    drop = max(scale - f, 1)
    return p.shl(await p._lift(coarser(addend, f), 32, drop, x.shape), f + drop - scale)


# ---- sine and cosine: sums of one term ------------------------------------------------------------------------------


WAVE = f"""
derived.sin.general() if k == 128 else
in_parts(
    _harmonics(rows=2, bytes={WIDE // 8}, width=_angle(k, f)) + _lift(width={WIDE}, drop={WIDE - 4}-f),
    _sizes(n), {IN_FLIGHT}
)
"""


@cost(WAVE)
async def sin(p: Sums, x: Arith, bound: int | None = None) -> Arith:
    """[sin x]. The angle is right to |x| 2^(f-k-1) turns."""
    return await _wave_of(p, x, bound, "sin")


@cost(WAVE.replace("sin", "cos"))
async def cos(p: Sums, x: Arith, bound: int | None = None) -> Arith:
    """[cos x]. As `sin`."""
    return await _wave_of(p, x, bound, "cos")


async def _wave_of(p: Sums, x: Arith, bound: int | None, name: str) -> Arith:
    if p.k == 128:
        return await getattr(derived, name).general(p, x, bound)
    return await _in_parts(lambda part: _wave(p, part, WAVES[name]), x)


async def _wave(p: Sums, x: Arith, one: series.Series) -> Arith:
    f = p.fraction_bits
    angle = circle(_flat(x), 1 / (2 * math.pi), f)
    addend = await p._harmonics(angle, scaled(one, WIDE - 4, WIDE), _angle(p.k, f))
    return await p._lift(addend, WIDE, WIDE - 4 - f, x.shape)


def _angle(k: int, f: int) -> int:
    """Bits of an angle that are opened."""
    return 32 if k == 32 or f <= FINE else 64


# ---- comparisons and the choice that follows ------------------------------------------------------------------------


def _drop(bits: int, members: int) -> int:
    """Low bits that all parts may lose so that the sum of n parts is off by less than 2^bits."""
    return max(bits - (members - 2).bit_length(), 0)


def _slack(drop: int, members: int) -> int:
    """By how much the sum of parts without their low bits may be too small."""
    return members - 1 if drop else 0


@cost("msb(l=min(l+1, k) - drop)")
async def _at_least(p: Sums, x: Arith, drop: int, limit: int, bound: int) -> Bool:
    """[x >= t] for a t from limit 2^drop to (limit + n - 1) 2^drop that depends on the sharing; limit, if drop is 0.

    Dropping the low bits of all parts, which is local, makes the comparison cheaper.
    """
    coarse = p.add_public(x.map(lambda part: ring.shr(part, drop)), -limit)
    return p.not_(await p.msb(coarse, min(bound + 1, p.k) - drop))


@cost(rounds="_at_least(n=2*n)", bits="2 * _at_least(n=2*n)")
async def _beyond(p: Sums, x: Arith, drop: int, low: int, high: int, bound: int) -> tuple[Bool, Bool]:
    """[x >= low] and [x >= high], as `_at_least` has them: both comparisons in one."""
    coarse = Arith((ring.shr(_flat(x), drop),))
    both = concat([p.add_public(coarse, -limit) for limit in (low, high)], 0)
    signs = p.not_(await p.msb(both, min(bound + 1, p.k) - drop))
    above, over = signs.map(lambda b: b.slice([0], [x.size])), signs.map(lambda b: b.slice([x.size], [2 * x.size]))
    return above.reshape(x.shape), over.reshape(x.shape)


@cost("gather(mul_bit(), b2a(w=1))")
async def _chosen(p: Sums, value: Arith, above: Bool | None, over: Bool | None, limit: int) -> Arith:
    """[the limit if over, the value if not and above, else 0]; None: above for certain, not over for certain."""
    if over is None:
        return value if above is None else await p.mul_bit(above, value)
    inside = p.not_(over) if above is None else p.xor(above, over)
    kept, reached = await gather(p.mul_bit(inside, value), p.b2a(over))
    return p.add(kept, p.mul_public(reached, limit))


def _flat(x: Arith) -> Array:
    return np.ascontiguousarray(x.parts[0]).reshape(-1)

"""Elementwise primitives: arithmetic, comparison, choice, real functions, casts.

Comparisons of shared numbers become `lt(d, 0)` of a difference, and max, min and abs the same comparison with a
choice: what one function compares several times (relu and its derivative, |x| and max(x, 0)) is compared once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ir import PUBLIC, ir_dtype
from ..builder import Builder, Ref
from ..example import bits, example, ints, reals
from ..named import divided, wrapped
from ..simplify import magnitude


def _is_shared(*refs: Ref) -> bool:
    return any(x.visibility != PUBLIC for x in refs)


def _scalar(b: Builder, value: float, like: Ref) -> Ref:
    return b.constant(value, like.type)


@example(lambda J, x, y: x + y, ints(5), ints(5))
@example(lambda J, x, y: x + y, reals(3, 4), reals(3, 4))
@example(lambda J, x: 1.5 + x)
def add(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x + y."""
    return b.emit("add", x, y)


@example(lambda J, x: J.jax.grad(lambda v: (v * v + v).sum())(x))
def add_any(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x + y, as derivatives add."""
    return b.emit("add", x, y)


@example(lambda J, x, y: x - y, ints(5), ints(5))
@example(lambda J, x, y: x - y, reals(3, 4), reals(3, 4))
def sub(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x - y."""
    return b.emit("sub", x, y)


@example(lambda J, x: -x)
def neg(b: Builder, x: Ref, **_: Any) -> Ref:
    """-x."""
    return b.emit("neg", x)


@example(lambda J, x, y: x * y, ints(5), ints(5))
@example(lambda J, x, y: x * y, reals(3, 4), reals(3, 4))
@example(lambda J, x: 0.001 * x, atol=1e-5)
@example(lambda J, x: (x > 1) * x)
def mul(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x * y; public factors keep about 18 significant bits, however small they are."""
    return b.emit("mul", x, y)


@example(lambda J, x: J.lax.square(x))
def square(b: Builder, x: Ref, **_: Any) -> Ref:
    """x * x."""
    return b.emit("square", x)


@example(lambda J, x, y: x / y, reals(3, 4), reals(3, 4, low=0.5), rtol=1e-3, atol=1e-3)
@example(lambda J, x: x / 3)
@example(lambda J, x: 1 / x, reals(5, low=0.25), rtol=1e-3, atol=1e-3)
@example(lambda J, x: (x // 7, x // -7, x // J.jnp.array([1, 2, 1000])), ints(9, 3, low=-(2**61), high=2**61))
@example(lambda J, x: J.lax.div(x, J.jnp.int32(10)), ints(30, low=-(2**31), high=2**31, dtype="int32"))
@example(lambda J, x, y: (x // y, J.lax.div(x, y)), ints(30, low=-200, high=200), ints(30, low=-9, high=9))
@example(lambda J, x, y: x // y, ints(20, low=-(2**61), high=2**61), ints(20, low=-(2**40), high=2**40))
@example(lambda J, x, y: x // y, ints(20, low=0, high=256, dtype="uint8"), ints(20, low=0, high=256, dtype="uint8"))
@example(lambda J, x, y: J.within(x, -99, 99) // J.within(y, 1, 30), ints(20, low=-99), ints(20, low=1, high=30))
@example(lambda J, x, n: x // n, ints(20, low=-99), ints(20, public=True))
@example(lambda J, x, y: (x // y, x % y), ints(2, 3), ints(3))
@example(lambda J, x, y: (x // y, x % y), reals(2, 3), reals(3, low=0.5))
def div(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x / y; of integers exact, rounded towards zero, x / 0 = -1."""
    if x.type.dtype == "fixed":
        return b.emit("div", x, y)
    return b.emit("int_div", *(wrapped(b, v) for v in (x, y)))


@example(lambda J, x, n: x * (n % 3), reals(4), ints(4, public=True))
@example(lambda J, x: (x % 7, x % -7, J.lax.rem(x, J.jnp.int64(-7)), x % 1024), ints(9, low=-(2**61), high=2**61))
@example(lambda J, x, y: (x % y, J.jnp.fmod(x, y)), ints(30, low=-200, high=200), ints(30, low=-9, high=9))
@example(lambda J, x, y: J.lax.rem(x, y), *2 * (ints(20, low=-128, high=128, dtype="int8"),))
@example(lambda J, x, y: J.jnp.fmod(x, y), reals(20, low=-99, high=99), reals(20, low=0.5))
@example(lambda J, x, y: J.jnp.fmod(J.within(x, -4, 4), J.within(-y, -4, -0.125)), reals(20), reals(20, low=0.125))
@example(lambda J, x: (J.jnp.fmod(x, 0.75), J.jnp.fmod(x, -2.0)), reals(20, low=-99, high=99))
@example(lambda J, x: J.jnp.divmod(x, 0.75), reals(20, low=-99, high=99))
def rem(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """The remainder of x / y with x's sign, exact; x where y = 0."""
    if x.type.dtype == "fixed" or not _is_shared(x, y):
        return b.emit("rem", x, y)
    return divided(b, wrapped(b, x), wrapped(b, y))[1]


@example(lambda J, x: J.lax.integer_pow(x, 3), reals(4, low=-2, high=2))
@example(lambda J, x: J.lax.integer_pow(x, -2), reals(4, low=1), rtol=1e-3, atol=1e-3)
def integer_pow(b: Builder, x: Ref, *, y: int, **_: Any) -> Ref:
    """x to a whole power, by squaring; negative ones by a reciprocal."""
    if y < 0:
        one = _scalar(b, 1.0, x)
        return integer_pow(b, b.emit("div", one, x), y=-y)
    if y == 0:
        return _scalar(b, 1, x)
    result: Ref | None = None
    while y:
        if y % 2:
            result = x if result is None else b.emit("mul", result, x)
        x = b.emit("square", x) if y > 1 else x
        y //= 2
    assert result is not None
    return result


@example(lambda J, x: x**2.5, reals(5, low=0.1, high=4), rtol=1e-2, atol=1e-2)
@example(lambda J, x: 2.0**x, reals(5, low=-3, high=3), rtol=1e-3, atol=1e-3)
@example(lambda J, x: x**0.5, reals(5, low=0.1, high=4), rtol=1e-2, atol=1e-2)
@example(lambda J, x: x[:, None] ** J.jnp.arange(3.0), reals(5), rtol=1e-3, atol=1e-3)
@example(lambda J, x, n: x * n**1.5, reals(4), reals(4, low=0, public=True))
def pow_(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x^y: by products or roots for such constants, else exp(y log x) for x > 0."""
    if not _is_shared(x, y):
        y = b.emit("convert", y, dtype="fixed")
        return b.emit("power", x, y)
    if (
        y.value is not None
        and y.value.ndim
        and y.value.size
        and np.array_equal(np.rint(y.value), y.value)
        and abs(y.value).max() <= 64
    ):
        return _powers(b, x, y)
    power = y.uniform
    if power is not None and float(power).is_integer() and abs(power) <= 64:
        return integer_pow(b, x, y=int(power))
    if power is not None and abs(power) == 0.5:
        return b.emit("sqrt" if power > 0 else "rsqrt", x)
    return b.emit("exp", b.emit("mul", _log(b, x), b.emit("convert", y, dtype="fixed")))


def _powers(b: Builder, x: Ref, y: Ref) -> Ref:
    """x to whole powers that differ: each power once, chosen by position."""
    assert y.value is not None
    shape = np.broadcast_shapes(x.type.shape, y.type.shape)
    lead = tuple(range(len(shape) - len(x.type.shape), len(shape)))
    wanted = np.broadcast_to(y.value, shape)
    result: Ref | None = None
    for power in np.unique(y.value):
        one = b.emit("broadcast", integer_pow(b, x, y=int(power)), shape=shape, dims=lead)
        result = one if result is None else b.emit("select", b.constant(wanted == power), one, result)
    assert result is not None
    return result


def _log(b: Builder, x: Ref) -> Ref:
    return b.emit("log", x)


# ---- comparison -----------------------------------------------------------------------------------------------------


def _less(b: Builder, x: Ref, y: Ref) -> Ref:
    """x < y."""
    known = _beyond(x, y)
    if known is not None:
        return _bit(b, known, x, y)
    if not _is_shared(x, y) or x.type.dtype == "bool":
        return b.emit("lt", x, y)
    if _may_overflow(b, x, y):
        return _less_in_full(b, x, y)
    difference = b.emit("sub", x, y)
    return b.emit("lt", difference, _scalar(b, 0, difference))


def _may_overflow(b: Builder, x: Ref, y: Ref) -> bool:
    """Whether x - y of 64-bit integers may need another bit; narrower ones have room in the ring."""
    if x.type.dtype == "i64" and y.is_uniform(0):
        return False
    p, q = b.interval(x), b.interval(y)
    return x.type.dtype in ("i64", "u64") and not max(p.high - q.low, q.high - p.low) < 2.0**63


def _less_in_full(b: Builder, x: Ref, y: Ref) -> Ref:
    """x < y over all 64 bits: by the signs where they differ, else by the difference, which then does not overflow."""
    signed = x.type.dtype == "i64"
    x, y = b.emit("convert", x, dtype="i64"), b.emit("convert", y, dtype="i64")
    zero = _scalar(b, 0, x)
    above, below = b.emit("lt", x, zero), b.emit("lt", y, zero)  # the highest bits
    difference = b.emit("lt", b.emit("sub", x, y), zero)
    return b.emit("select", b.emit("xor", above, below), above if signed else below, difference)


def _beyond(x: Ref, y: Ref) -> bool | None:
    """x < y where one is an infinite or NaN constant and the other is no constant."""
    p, q = x.uniform, y.uniform
    if x.value is None and q is not None and not math.isfinite(q):
        return bool(q > 0)
    if y.value is None and p is not None and not math.isfinite(p):
        return bool(p < 0)
    return None


def _bit(b: Builder, value: bool, *refs: Ref) -> Ref:
    shape = next((x.type.shape for x in refs if x.type.shape), ())
    return b.constant(value, b.constant(False).type.with_shape(shape))


def _is_nan(x: Ref) -> bool:
    return x.uniform is not None and x.uniform != x.uniform


@example(lambda J, x, y: x < y, reals(3, 4), reals(3, 4))
@example(lambda J, x: x < J.jnp.inf)
@example(lambda J, x, y: x < y, bits(9), bits(9))
def lt(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x < y; comparisons with infinite constants are constants."""
    return _bit(b, False, x, y) if _is_nan(x) or _is_nan(y) else _less(b, x, y)


@example(lambda J, x, y: x > y, ints(5), ints(5))
def gt(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x > y."""
    return lt(b, y, x)


@example(lambda J, x, y: x <= y, ints(30), ints(30))
def le(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x <= y."""
    return _bit(b, False, x, y) if _is_nan(x) or _is_nan(y) else b.emit("not", _less(b, y, x))


@example(lambda J, x, y: x >= y, reals(3, 4), reals(3, 4))
def ge(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x >= y."""
    return le(b, y, x)


@example(lambda J, x, y: J.lax.lt(x, y), reals(3), reals(3))
def lt_to(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x < y in the total order of floats, which fixed point has anyway."""
    return lt(b, x, y)


@example(lambda J, x, y: J.lax.le(x, y), reals(3), reals(3))
def le_to(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x <= y in the total order of floats, which fixed point has anyway."""
    return le(b, x, y)


@example(lambda J, x, y: x == y, ints(30), ints(30))
@example(lambda J, x, y: x == y, bits(30), bits(30))
@example(lambda J, x: x == -J.jnp.inf)
def eq(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x == y; a number equals itself (there is no NaN) and no infinite constant."""
    if x is y:
        return _bit(b, True, x)
    if _is_nan(x) or _is_nan(y) or (_beyond(x, y) is not None):
        return _bit(b, False, x, y)
    return b.emit("eq", x, y)


@example(lambda J, x, y: x != y, ints(30), ints(30))
@example(lambda J, x: x != x)
def ne(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x != y; `x != x`, which asks for NaN, is false."""
    return b.emit("not", eq(b, x, y))


@example(lambda J, x: J.lax.is_finite(x))
def is_finite(b: Builder, x: Ref, **_: Any) -> Ref:
    """True: fixed point has no infinite numbers."""
    if x.value is not None:
        return Ref(_bit(b, True, x).type, PUBLIC, value=np.asarray(np.isfinite(x.value)))
    return _bit(b, True, x)


# ---- choice ---------------------------------------------------------------------------------------------------------


@example(lambda J, c, x, y: J.jnp.where(c, x, y), bits(3, 4), reals(3, 4), reals(3, 4))
@example(lambda J, x: J.jnp.where(x > 0, 1.0, -1.0))
@example(lambda J, c, x, y: J.jnp.where(c, x, y), bits(70), bits(70), bits(70))
@example(lambda J, x: J.lax.select_n(J.jnp.array([0, 2, 1]), x, 2 * x, 3 * x), reals(3))
def select_n(b: Builder, which: Ref, *cases: Ref, **_: Any) -> Ref:
    """The case that a boolean or an integer selects; free if it is public."""
    if len(cases) == 1:
        return cases[0]
    if which.type.dtype == "bool":
        return b.emit("select", which, cases[1], cases[0])
    result = cases[-1]
    for k in range(len(cases) - 2, -1, -1):
        # Below k + 1: with the result for larger ones kept, out-of-range integers get the nearest case.
        below = _less(b, which, b.constant(k + 1, which.type))
        result = b.emit("select", below, cases[k], result)
    return result


def _rectify(b: Builder, x: Ref) -> Ref:
    """max(x, 0)."""
    positive = _less(b, _scalar(b, 0, x), x)
    return b.emit("select", positive, x, _scalar(b, 0, x))


@example(lambda J, x, y: J.jnp.maximum(x, y), reals(3, 4), reals(3, 4))
@example(lambda J, x: J.jnp.maximum(x, 0))
@example(lambda J, x, y: J.jnp.maximum(x, y), bits(9), bits(9))
@example(lambda J, x: J.jax.grad(lambda v: J.jax.nn.relu(v).sum())(x))
def max_(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """The larger one: y + max(x - y, 0)."""
    if x.type.dtype == "bool":
        return b.emit("or", x, y)
    if not _is_shared(x, y):
        return b.emit("select", b.emit("lt", x, y), y, x)
    for p, q in ((x, y), (y, x)):
        if p.value is not None and not math.isfinite(p.uniform or 0.0):
            return q if (p.uniform or 0.0) < 0 else p
    if _may_overflow(b, x, y):
        return b.emit("select", _less_in_full(b, x, y), y, x)
    return b.emit("add", y, _rectify(b, b.emit("sub", x, y)))


@example(lambda J, x, y: J.jnp.minimum(x, y), reals(3, 4), reals(3, 4))
def min_(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """The smaller one: x - max(x - y, 0)."""
    if x.type.dtype == "bool":
        return b.emit("and", x, y)
    if not _is_shared(x, y):
        return b.emit("select", b.emit("lt", x, y), x, y)
    for p, q in ((x, y), (y, x)):
        if p.value is not None and not math.isfinite(p.uniform or 0.0):
            return q if (p.uniform or 0.0) > 0 else p
    if _may_overflow(b, x, y):
        return b.emit("select", _less_in_full(b, x, y), x, y)
    return b.emit("sub", x, _rectify(b, b.emit("sub", x, y)))


@example(lambda J, x: J.lax.clamp(-1.0, x, 2.0))
def clamp(b: Builder, low: Ref, x: Ref, high: Ref, **_: Any) -> Ref:
    """x moved between two bounds."""
    low, high = _like(b, low, x), _like(b, high, x)
    return min_(b, max_(b, x, low), high)


def _like(b: Builder, x: Ref, other: Ref) -> Ref:
    return x if x.type.shape == other.type.shape else b.emit("broadcast", x, shape=other.type.shape, dims=())


@example(lambda J, x: J.jnp.abs(x))
def abs_(b: Builder, x: Ref, **_: Any) -> Ref:
    """|x| = 2 max(x, 0) - x."""
    if not _is_shared(x):
        return b.emit("select", b.emit("lt", x, _scalar(b, 0, x)), b.emit("neg", x), x)
    return magnitude(b, x, _rectify(b, x))


@example(lambda J, x: J.jnp.sign(x))
@example(lambda J, x: J.jnp.sign(x), ints(20, low=-2, high=3))
def sign(b: Builder, x: Ref, **_: Any) -> Ref:
    """-1, 0 or 1."""
    zero = _scalar(b, 0, x)
    above = b.emit("convert", _less(b, zero, x), dtype=x.type.dtype)
    below = b.emit("convert", _less(b, x, zero), dtype=x.type.dtype)
    return b.emit("sub", above, below)


# ---- booleans and integers ------------------------------------------------------------------------------------------


@example(lambda J, x: ~x, bits(3, 30))
def not_(b: Builder, x: Ref, **_: Any) -> Ref:
    """Not x; of integers every bit inverted."""
    return b.emit("not", x)


def _bitwise(b: Builder, op: str, x: Ref, y: Ref) -> Ref:
    return b.emit(f"bit_{op}" if x.type.dtype != "bool" and _is_shared(x, y) else op, x, y)


@example(lambda J, x, y: x & y, bits(3, 30), bits(3, 30))
@example(lambda J, x: (x > 0) & J.jnp.array([True, False, True]), reals(3))
@example(lambda J, x, y: x & y, ints(40, low=-(2**62), high=2**62), ints(40, low=-9))
@example(lambda J, x: (x & 1, x & -4, 0 & x, x & J.jnp.array([[5], [0]])), ints(2, 9))
@example(lambda J, x, y: x & y, ints(9, dtype="uint8", low=0, high=256), ints(9, dtype="uint8", low=0, high=256))
@example(lambda J, x: x & 0xF0, ints(9, dtype="int16"))
def and_(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x & y of booleans or integers."""
    return _bitwise(b, "and", x, y)


@example(lambda J, x, y: x | y, bits(3, 30), bits(3, 30))
@example(lambda J, x: (x > 0) | J.jnp.array([True, False, True]), reals(3))
@example(lambda J, x, y: x | y, ints(40, low=-(2**62), high=2**62), ints(40, low=-9))
@example(lambda J, x: (x | 5, x | -4, 0 | x), ints(9, dtype="int32"))
def or_(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x | y of booleans or integers."""
    return _bitwise(b, "or", x, y)


@example(lambda J, x, y: x ^ y, bits(3, 30), bits(3, 30))
@example(lambda J, x, y: x ^ y, ints(40, low=-(2**62), high=2**62), ints(40, low=-9))
@example(lambda J, x: (x ^ 5, x ^ -4), ints(9, dtype="int8"))
@example(lambda J, x: x ^ 5, ints(9, dtype="uint32", low=0))
def xor(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x ^ y of booleans or integers."""
    return _bitwise(b, "xor", x, y)


@example(lambda J, x, n: x << n, ints(5), ints(5, low=0, high=5, public=True))
@example(lambda J, x: x << 3, ints(5))
@example(lambda J, x, n: x << n, ints(40, low=-(2**62), high=2**62), ints(40, low=-3, high=70))
@example(lambda J, n: J.jnp.int64(1) << n, ints(9, low=0, high=63))
def shift_left(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x << n; by a secret n in bits, 2^n times x by a public one."""
    if not _is_shared(x, y) or _is_shared(y):
        return b.emit("shift_left", x, y)
    one = b.constant(1, y.type)
    return b.emit("mul", x, b.emit("convert", b.emit("shift_left", one, y), dtype=x.type.dtype))


@example(lambda J, x, n: x * (n >> 1), ints(5), ints(5, public=True))
@example(lambda J, x, n: x >> n, ints(20, low=-(2**40), high=2**40), ints(20, low=0, high=70, public=True))
@example(lambda J, x: (x >> 3, x >> 0, x >> 63, x >> 64), ints(9, low=-(2**62), high=2**62))
@example(lambda J, x: (x >> 3, x >> J.jnp.arange(9, dtype="int8")), ints(9, dtype="int8", low=-128, high=128))
@example(lambda J, x, n: x >> n, ints(40, low=-(2**62), high=2**62), ints(40, low=-3, high=70))
@example(lambda J, x, n: x >> n, *2 * (ints(40, dtype="uint8", low=0, high=12),))
@example(lambda J, x: x >> 3, ints(9, dtype="uint16", low=0, high=2**16))
def shift_right_arithmetic(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x >> n, the sign repeated."""
    return b.emit("shift_right_arithmetic", x, y)


@example(lambda J, x, n: x * J.lax.shift_right_logical(n, 1), ints(5), ints(5, low=0, public=True))
@example(lambda J, x, n: J.lax.shift_right_logical(x, n), ints(20), ints(20, low=0, high=70, public=True))
@example(lambda J, x: J.lax.shift_right_logical(x, J.jnp.int32(3)), ints(9, dtype="int32"))
@example(lambda J, x, n: J.lax.shift_right_logical(x, n), ints(40, low=-(2**62), high=2**62), ints(40, high=70))
@example(lambda J, x: J.lax.shift_right_logical(x, J.jnp.int32(32)), ints(9, dtype="int32"))
def shift_right_logical(b: Builder, x: Ref, y: Ref, **_: Any) -> Ref:
    """x >> n, zeros in."""
    return b.emit("shift_right_logical", x, y)


@example(lambda J, x: J.lax.population_count(x), ints(20, low=-(2**62), high=2**62))
@example(lambda J, x: J.lax.population_count(x), ints(3, 9, dtype="uint8", low=0, high=256))
@example(lambda J, x: J.jnp.bitwise_count(x), ints(9, dtype="int16"))
def population_count(b: Builder, x: Ref, **_: Any) -> Ref:
    """The ones among the bits of an integer."""
    return b.emit("population_count", x)


@example(lambda J, x: J.lax.clz(x), ints(20, low=-2, high=2))
@example(lambda J, x: J.lax.clz(x >> J.jnp.arange(0, 60, 3)), ints(20, low=0, high=2**62))
@example(lambda J, x: J.lax.clz(x), ints(3, 9, dtype="uint8", low=0, high=256))
def clz(b: Builder, x: Ref, **_: Any) -> Ref:
    """The zeros above the highest one of an integer."""
    return b.emit("clz", x)


# ---- real functions -------------------------------------------------------------------------------------------------


@example(lambda J, x: J.jnp.exp(x), reals(3, 4, low=-6), rtol=1e-3, atol=1e-3)
def exp(b: Builder, x: Ref, **_: Any) -> Ref:
    """e^x; 0 far below, the largest number above."""
    return b.emit("exp", x)


@example(lambda J, x: J.lax.exp2(x), rtol=1e-3, atol=1e-3)
def exp2(b: Builder, x: Ref, **_: Any) -> Ref:
    """2^x."""
    return exp(b, b.emit("mul", x, _scalar(b, math.log(2), x)))


@example(lambda J, x: J.jnp.expm1(x), rtol=1e-3, atol=1e-3)
def expm1(b: Builder, x: Ref, **_: Any) -> Ref:
    """e^x - 1."""
    return b.emit("sub", exp(b, x), _scalar(b, 1, x)) if _is_shared(x) else b.emit("expm1", x)


@example(lambda J, x: J.jnp.log(x), reals(3, 4, low=0.1), rtol=1e-3, atol=1e-3)
def log(b: Builder, x: Ref, **_: Any) -> Ref:
    """The natural logarithm."""
    return _log(b, x)


@example(lambda J, x: J.jnp.log1p(x), reals(3, 4, low=-0.5), rtol=1e-3, atol=1e-3)
def log1p(b: Builder, x: Ref, **_: Any) -> Ref:
    """log(1 + x)."""
    return _log(b, b.emit("add", x, _scalar(b, 1, x))) if _is_shared(x) else b.emit("log1p", x)


@example(lambda J, x: J.jnp.log2(x), reals(3, 4, low=0.1), rtol=1e-3, atol=1e-3)
def log2(b: Builder, x: Ref, **_: Any) -> Ref:
    """The logarithm to base 2."""
    return b.emit("mul", _log(b, x), _scalar(b, 1 / math.log(2), x))


@example(lambda J, x: J.jax.nn.sigmoid(x), rtol=1e-3, atol=2e-3)
@example(lambda J, x: J.jax.nn.sigmoid(100 * x), rtol=1e-3, atol=2e-3)
def logistic(b: Builder, x: Ref, **_: Any) -> Ref:
    """The sigmoid 1 / (1 + e^-x)."""
    return b.emit("sigmoid", x)


@example(lambda J, x: J.jnp.tanh(x), rtol=1e-3, atol=4e-3)
def tanh(b: Builder, x: Ref, **_: Any) -> Ref:
    """The hyperbolic tangent."""
    return b.emit("tanh", x)


@example(lambda J, x: J.lax.erf(x), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.lax.erf(J.within(x, -2, 2)), reals(5, low=-2, high=2), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.jax.nn.gelu(x, approximate=False), rtol=1e-3, atol=1e-3)
def erf(b: Builder, x: Ref, **_: Any) -> Ref:
    """The error function."""
    return b.emit("erf", x)


@example(lambda J, x: J.lax.erfc(x), rtol=1e-3, atol=1e-3)
def erfc(b: Builder, x: Ref, **_: Any) -> Ref:
    """1 - erf(x): its digits are those after the point, also where it is small."""
    return b.emit("sub", _scalar(b, 1, x), b.emit("erf", x))


@example(lambda J, x: J.jnp.sin(x), reals(3, 4, low=-50, high=50), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.jax.grad(lambda v: J.jnp.sum(J.jnp.sin(v)))(x), rtol=1e-3, atol=1e-3)
def sin(b: Builder, x: Ref, **_: Any) -> Ref:
    """The sine: one message, whatever the angle."""
    return b.emit("sin", x)


@example(lambda J, x: J.jnp.cos(x), reals(3, 4, low=-50, high=50), rtol=1e-3, atol=1e-3)
def cos(b: Builder, x: Ref, **_: Any) -> Ref:
    """The cosine."""
    return b.emit("cos", x)


@example(lambda J, x: J.jnp.tan(x), reals(3, 4, low=-1.4, high=1.4), rtol=1e-3, atol=1e-3)
def tan(b: Builder, x: Ref, **_: Any) -> Ref:
    """sin x / cos x."""
    return b.emit("div", b.emit("sin", x), b.emit("cos", x))


@example(lambda J, x: J.jnp.sinh(x), rtol=1e-3, atol=1e-3)
def sinh(b: Builder, x: Ref, **_: Any) -> Ref:
    """(e^x - e^-x) / 2."""
    return _half(b, b.emit("sub", b.emit("exp", x), b.emit("exp", b.emit("neg", x))))


@example(lambda J, x: J.jnp.cosh(x), rtol=1e-3, atol=1e-3)
def cosh(b: Builder, x: Ref, **_: Any) -> Ref:
    """(e^x + e^-x) / 2."""
    return _half(b, b.emit("add", b.emit("exp", x), b.emit("exp", b.emit("neg", x))))


@example(lambda J, x: J.jnp.arcsinh(x), reals(3, 4, low=-1000, high=1000), rtol=1e-3, atol=1e-3)
def asinh(b: Builder, x: Ref, **_: Any) -> Ref:
    """log(|x| + sqrt(x^2 + 1)) with x's sign; |x| < 2^13, or the square overflows."""
    negative = _less(b, x, _scalar(b, 0, x))
    root = b.emit("sqrt", b.emit("add", b.emit("square", x), _scalar(b, 1, x)))
    return _mirrored(b, negative, _log(b, b.emit("add", _mirrored(b, negative, x), root)))


@example(lambda J, x: J.jnp.arccosh(x), reals(3, 4, low=1, high=1000), rtol=1e-3, atol=4e-3)
def acosh(b: Builder, x: Ref, **_: Any) -> Ref:
    """log(x + sqrt(x^2 - 1)) for 1 <= x < 2^13."""
    root = b.emit("sqrt", b.emit("sub", b.emit("square", x), _scalar(b, 1, x)))
    return _log(b, b.emit("add", x, root))


@example(lambda J, x: J.jnp.arctanh(x), reals(3, 4, low=-0.99, high=0.99), rtol=1e-3, atol=1e-3)
def atanh(b: Builder, x: Ref, **_: Any) -> Ref:
    """(log(1 + x) - log(1 - x)) / 2 for -1 < x < 1."""
    one = _scalar(b, 1, x)
    return _half(b, b.emit("sub", _log(b, b.emit("add", one, x)), _log(b, b.emit("sub", one, x))))


@example(lambda J, x: J.jnp.cbrt(x), reals(3, 4, low=-1000, high=1000), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.jnp.cbrt(x - x), rtol=1e-3, atol=1e-3)
def cbrt(b: Builder, x: Ref, **_: Any) -> Ref:
    """e^(log |x| / 3) with x's sign."""
    third = b.emit("mul", _log(b, abs_(b, x)), _scalar(b, 1 / 3, x))
    return b.emit("mul", sign(b, x), b.emit("exp", third))


@example(lambda J, x: J.jnp.arctan(x), reals(3, 4, low=-20, high=20), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.lax.atan(x), reals(5, low=-1, high=1), rtol=1e-3, atol=1e-3)
def atan(b: Builder, x: Ref, **_: Any) -> Ref:
    """The angle whose tangent x is."""
    return atan2(b, x, _scalar(b, 1, x))


# t times a polynomial in t^2 with these coefficients is atan(t) for |t| <= 1, error 3.8e-8.
_ATAN = (0.99999933, -0.3332986, 0.19946565, -0.13908628, 0.09642195, -0.0559123, 0.02186294, -0.00405456)


@example(
    lambda J, y, x: J.jnp.arctan2(y, x), reals(20, low=-9, high=9), reals(20, low=-9, high=9), rtol=1e-3, atol=1e-3
)
@example(lambda J, y: J.jnp.arctan2(y, -1.0), reals(20, low=0.5, high=9), rtol=1e-3, atol=1e-3)
def atan2(b: Builder, y: Ref, x: Ref, **_: Any) -> Ref:
    """The angle of the point (x, y), 0 at the origin: a polynomial in the smaller over the larger of |x| and |y|."""
    low, left = (_less(b, v, _scalar(b, 0, v)) for v in (y, x))
    high, wide = _mirrored(b, low, y), _mirrored(b, left, x)
    steep = _less(b, wide, high)
    smaller, larger = b.emit("select", steep, wide, high), b.emit("select", steep, high, wide)
    t = b.emit("div", smaller, larger)
    square = b.emit("square", t)
    angle = _scalar(b, _ATAN[-1], t)
    for c in reversed(_ATAN[:-1]):
        angle = b.emit("add", b.emit("mul", angle, square), _scalar(b, c, t))
    angle = b.emit("mul", angle, t)
    angle = b.emit("select", steep, b.emit("sub", _scalar(b, math.pi / 2, t), angle), angle)
    angle = b.emit("select", left, b.emit("sub", _scalar(b, math.pi, t), angle), angle)
    return _mirrored(b, low, angle)


@example(lambda J, x: J.jnp.arcsin(x), reals(3, 4, low=-1, high=1), rtol=1e-3, atol=4e-3)
def asin(b: Builder, x: Ref, **_: Any) -> Ref:
    """The angle in [-pi/2, pi/2] whose sine x is."""
    return atan2(b, x, _leg(b, x))


@example(lambda J, x: J.jnp.arccos(x), reals(3, 4, low=-1, high=1), rtol=1e-3, atol=4e-3)
def acos(b: Builder, x: Ref, **_: Any) -> Ref:
    """The angle in [0, pi] whose cosine x is."""
    return atan2(b, _leg(b, x), x)


def _mirrored(b: Builder, negative: Ref, x: Ref) -> Ref:
    """-x where `negative`, else x."""
    return b.emit("select", negative, b.emit("neg", x), x)


def _leg(b: Builder, x: Ref) -> Ref:
    """sqrt(1 - x^2)."""
    return b.emit("sqrt", b.emit("sub", _scalar(b, 1, x), b.emit("square", x)))


def _half(b: Builder, x: Ref) -> Ref:
    return b.emit("mul", x, _scalar(b, 0.5, x))


@example(lambda J, x: J.jnp.sqrt(x), reals(3, 4, low=0.01, high=100), rtol=1e-3, atol=1e-3)
def sqrt(b: Builder, x: Ref, **_: Any) -> Ref:
    """The square root; 0 below 0."""
    return b.emit("sqrt", x)


@example(lambda J, x: J.lax.rsqrt(x), reals(3, 4, low=0.1, high=100), rtol=1e-3, atol=1e-3)
def rsqrt(b: Builder, x: Ref, **_: Any) -> Ref:
    """1 / sqrt(x)."""
    return b.emit("rsqrt", x)


@example(lambda J, x: J.jnp.floor(x))
def floor(b: Builder, x: Ref, **_: Any) -> Ref:
    """The largest whole number that is not above x."""
    return b.emit("floor", x)


@example(lambda J, x: J.jnp.ceil(x))
def ceil(b: Builder, x: Ref, **_: Any) -> Ref:
    """The smallest whole number that is not below x."""
    return b.emit("neg", b.emit("floor", b.emit("neg", x)))


@example(lambda J, x: J.jnp.round(x))
def round_(b: Builder, x: Ref, **_: Any) -> Ref:
    """The nearest whole number; halves go up on shares."""
    return b.emit("round", x)


# ---- casts and identities -------------------------------------------------------------------------------------------


@example(lambda J, x: (x > 0).astype(float))
@example(lambda J, x: (x > 0).astype(int).sum())
@example(lambda J, x: x.astype(int))
@example(lambda J, x: x.astype(float) / 2, ints(5))
@example(lambda J, x: x.astype(bool), ints(30, low=-1, high=2))
@example(lambda J, x: x.astype("float32"))
def convert_element_type(b: Builder, x: Ref, *, new_dtype: Any, **_: Any) -> Ref:
    """A cast. All floats are the device's fixed point; integers of a shared value wrap when they are revealed."""
    return b.emit("convert", x, dtype=ir_dtype(new_dtype))


@example(lambda J, x: J.jax.grad(lambda v: (J.lax.stop_gradient(v) * v).sum())(x))
def stop_gradient(b: Builder, x: Ref, **_: Any) -> Ref:
    """x; for derivatives a constant."""
    return x


@example(lambda J, x: J.jnp.copy(x))
def copy(b: Builder, x: Ref, **_: Any) -> Ref:
    """x."""
    return x


@example(lambda J, x: J.jnp.copy(x))
def copy_p(b: Builder, x: Ref, **_: Any) -> Ref:
    """x."""
    return x


@example(lambda J, x: J.lax.reduce_precision(x, 8, 23))
def reduce_precision(b: Builder, x: Ref, **_: Any) -> Ref:
    """x: precision is the device's."""
    return x


@example(lambda J, x: J.jax.device_put(x))
def device_put(b: Builder, *xs: Ref, **_: Any) -> list[Ref]:
    """x: placement is the device's."""
    return list(xs)


@example(lambda J, x: J.lax.optimization_barrier((x, 2 * x)))
def optimization_barrier(b: Builder, *xs: Ref, **_: Any) -> list[Ref]:
    """Its operands."""
    return list(xs)


@example(lambda J, x: J.within(x, -4, 4) < 1)
@example(lambda J, x: J.jax.vmap(J.jax.grad(lambda v: J.within(v, -4, 4) ** 2))(x), reals(5))
def within(b: Builder, x: Ref, *, low: float, high: float, **_: Any) -> Ref:
    """x, promised to lie in a range (`argot.within`): comparisons and approximations cost less."""
    return b.emit("within", x, low=float(low), high=float(high))

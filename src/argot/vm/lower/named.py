"""Kernels for functions of JAX that it traces as one named call, where they beat the body.

A kernel is a public function here with the name of the call; it gets the dtype of the first result beside the operands,
and returns a list of results, or None to have the body interpreted after all. Calls that compute something else than
the function, as those in derivatives, never come to a kernel (`as_defined`). Its examples (`@example`) are run by the
conformance suite, as those of the rules are.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FunctionType
from typing import Any

import numpy as np

from ..ir import PUBLIC
from .builder import Builder, Ref
from .example import bits, example, ints, reals
from .jax_adapter import as_defined, jax
from .written import written

Kernel = FunctionType


def every() -> dict[str, Kernel]:
    """All kernels by the name of their calls."""
    return {
        name: value
        for name, value in globals().items()
        if isinstance(value, FunctionType) and value.__module__ == __name__ and hasattr(value, "examples")
    }


def find(name: str) -> Kernel | None:
    """The kernel for calls of that name."""
    return every().get(name)


MOST_BATCHES = 2
"""Times that a call is recognised under `jax.vmap`."""


def apply(b: Builder, kernel: Kernel, args: Sequence[Ref], jaxpr: Any, *, dtype: str) -> list[Ref] | None:
    """A kernel for this call, also under `jax.vmap` along first axes: elements meet as they do for single calls.

    None where the body is to be interpreted: of systems of equations in batches, and of derivatives.
    """
    arguments = kernel.__code__.co_argcount - 1
    axes = as_defined(jaxpr, arguments, 0 if kernel is solve else MOST_BATCHES)
    if not axes:
        return kernel(b, *args, dtype=dtype) if axes == () else None
    batched = [tuple(level[i] for level in axes) for i in range(len(args))]
    rank = max(len(x.type.shape) - sum(levels) for x, levels in zip(args, batched, strict=True))
    aligned = []
    for x, levels in zip(args, batched, strict=True):
        batch, own = iter(x.type.shape[: sum(levels)]), x.type.shape[sum(levels) :]
        lead = tuple(next(batch) if level else 1 for level in levels)
        aligned.append(b.emit("reshape", x, shape=(*lead, *(1,) * (rank - len(own)), *own)))
    return kernel(b, *aligned, dtype=dtype)


@example(lambda J, x, y: x // y, ints(30, low=-200, high=200), ints(30, low=-9, high=9))
@example(lambda J, x, y: x // y, *2 * (ints(30, low=0, high=9, dtype="uint8"),))
@example(lambda J, x, y: x // y, ints(9, low=-99, dtype="int8"), ints(9, low=-200, high=200, dtype="int16"))
@example(lambda J, x, y: (x // 2, x // y), bits(9), ints(9, low=1))
@example(lambda J, x, y: x // y, reals(2, 3), reals(3, low=0.5))
def floor_divide(b: Builder, x: Ref, y: Ref, *, dtype: str) -> list[Ref] | None:
    """`x // y`: of shared reals the floor of the quotient; of integers exact, and for y = 0 what JAX has: -1 or -2, the
    largest number of unsigned ones."""
    if x.visibility == PUBLIC and y.visibility == PUBLIC:
        return None
    x, y = _alike(b, x, y, dtype)
    if x.type.dtype == "fixed":
        return [_quotient(b, x, y)]
    if x.type.dtype.startswith("u"):
        return [divided(b, wrapped(b, x), wrapped(b, y))[0]]
    quotient, left, wrong, none = _floored(b, x, y)
    wrong = b.emit("and", b.emit("not", b.emit("eq", left, _zero(b, x))), b.emit("or", wrong, none))
    return [b.emit("sub", quotient, b.emit("convert", wrong, dtype=x.type.dtype))]


@example(lambda J, x, y: x % y, ints(30, low=-200, high=200), ints(30, low=-9, high=9))
@example(lambda J, x, y: x % y, ints(9, low=-99, dtype="int16"), ints(9, low=2**16, high=2**20, dtype="uint32"))
@example(lambda J, x, y: x % y, reals(2, 3), reals(3, low=0.5))
@example(lambda J, x, y: J.jax.vmap(J.jnp.remainder)(x, y), ints(4, low=-99, high=99), ints(4, 3, low=1))
@example(lambda J, x, y: J.jax.jvp(J.jnp.remainder, (x, y), (y, x)), reals(9), reals(9, low=0.5), rtol=1e-3, atol=1e-3)
def remainder(b: Builder, x: Ref, y: Ref, *, dtype: str) -> list[Ref] | None:
    """`x % y`, with y's sign: x - y floor(x / y); of integers exact, 0 for y = 0 as JAX has it."""
    if x.visibility == PUBLIC and y.visibility == PUBLIC:
        return None
    x, y = _alike(b, x, y, dtype)
    if x.type.dtype == "fixed":
        return [b.emit("sub", x, b.settle(b.emit("mul", _quotient(b, x, y), y)))]
    _, left, wrong, none = _floored(b, x, y)
    wrong = b.emit("and", b.emit("not", b.emit("eq", left, _zero(b, x))), wrong)
    found = b.emit("add", left, b.emit("select", wrong, y, _zero(b, x)))
    return [b.emit("select", none, _zero(b, x), found)]


def _floored(b: Builder, x: Ref, y: Ref) -> tuple[Ref, Ref, Ref, Ref]:
    """The quotient rounded towards zero, what is left, whether the signs differ, and whether y = 0."""
    x, y = wrapped(b, x), wrapped(b, y)
    quotient, left = divided(b, x, y)
    differ = b.emit("xor", b.emit("lt", x, _zero(b, x)), b.emit("lt", y, _zero(b, y)))
    return quotient, left, differ, b.emit("eq", y, _zero(b, y))


def divided(b: Builder, x: Ref, y: Ref) -> tuple[Ref, Ref]:
    """Quotient, rounded towards zero, and remainder of integers: it lies between 0 and x, x where y = 0."""
    quotient, known = b.emit("int_div", x, y), b.interval(x)
    left = b.emit("sub", x, b.emit("mul", quotient, y))
    if np.isfinite(known.magnitude):
        left = b.emit("within", left, low=min(known.low, 0.0), high=max(known.high, 0.0))
    return quotient, left


def wrapped(b: Builder, x: Ref) -> Ref:
    """A shared integer wrapped to its own width, unless it is known to be within it, or the ring has no more."""
    info = np.iinfo(x.type.numpy)
    known = b.interval(x)
    if x.visibility == PUBLIC or info.bits == 64 or (info.min <= known.low and known.high <= info.max):
        return x
    return b.emit("bit_and", x, b.constant(np.asarray(-1).astype(x.type.numpy), x.type))


def _zero(b: Builder, like: Ref) -> Ref:
    return b.constant(0, like.type)


def _alike(b: Builder, x: Ref, y: Ref, dtype: str) -> tuple[Ref, Ref]:
    """Both with one shape and this dtype, as the body would make them."""
    shape = np.broadcast_shapes(x.type.shape, y.type.shape)
    first, second = (
        b.emit("broadcast", v, shape=shape, dims=tuple(range(len(shape) - len(v.type.shape), len(shape))))
        for v in (x, y)
    )
    return b.emit("convert", first, dtype=dtype), b.emit("convert", second, dtype=dtype)


def _quotient(b: Builder, x: Ref, y: Ref) -> Ref:
    """floor(x / y). The quotient of a multiple of y may come out one unit too low: half a step of 2^-10 helps it."""
    return b.emit("floor", b.emit("add", b.emit("div", x, y), b.constant(2.0**-11, x.type)))


MOST_ROWS = 64
"""Of a system that is solved, one step of elimination for each."""


@example(lambda J, a, y: J.jnp.linalg.solve(a + 6 * J.jnp.eye(4), y), reals(4, 4), reals(4), rtol=1e-3, atol=1e-3)
@example(lambda J, a: J.jnp.linalg.inv(a), reals(3, 3), rtol=2e-2, atol=2e-2)
def solve(b: Builder, a: Ref, y: Ref, **_: Any) -> list[Ref] | None:
    """`jnp.linalg.solve` of one system, by Gauss-Jordan elimination, pivots (the largest of a column) found in secret.

    Elements, results and products on the way must be below 2^(k - 2f - 3); a singular matrix gives numbers that mean
    nothing.
    """
    n = a.type.shape[-1]
    if len(a.type.shape) != 2 or len(y.type.shape) > 2 or n > MOST_ROWS:
        return None
    a, right = (
        b.emit("convert", v, dtype="fixed") for v in (a, b.emit("reshape", y, shape=(n, y.type.size // max(n, 1))))
    )
    rows = b.emit("concat", a, right, axis=1)
    for k in range(n):
        above, below = _part(b, rows, 0, k), _part(b, rows, k, n)
        column = _columns(b, below, k, k + 1)
        size = b.emit("select", b.emit("lt", column, _zero(b, column)), b.emit("neg", column), column)
        place = b.emit("argmax", size, axis=0, dtype="i32")
        count = b.emit("iota", dtype="i32", shape=(n - k, 1), axis=0)
        here = b.emit("eq", b.emit("broadcast", place, shape=(n - k, 1), dims=(1,)), count)
        code = b.emit("transpose", b.emit("convert", here, dtype="i32"), axes=(1, 0))
        pivot, first = b.emit("matmul", code, below), _part(b, below, 0, 1)
        rest = _part(b, below, 1, n - k)
        if n - k > 1:
            wide = rest.type.shape
            swap = b.emit("broadcast", _part(b, here, 1, n - k), shape=wide, dims=(0, 1))
            rest = b.emit("select", swap, b.emit("broadcast", first, shape=wide, dims=(0, 1)), rest)
        head = _columns(b, pivot, k, k + 1)
        unit = b.emit("div", pivot, b.emit("broadcast", head, shape=pivot.type.shape, dims=(0, 1)))
        others = b.emit("concat", above, rest, axis=0)
        others = b.emit("sub", others, b.emit("matmul", _columns(b, others, k, k + 1), unit))
        rows = b.emit("concat", _part(b, others, 0, k), unit, _part(b, others, k, n - 1), axis=0)
    return [b.emit("reshape", _columns(b, rows, n, rows.type.shape[1]), shape=y.type.shape)]


def _part(b: Builder, x: Ref, start: int, stop: int) -> Ref:
    """Rows start..stop-1."""
    return b.emit("slice", x, starts=(start, 0), limits=(stop, x.type.shape[1]), strides=(1, 1))


def _columns(b: Builder, x: Ref, start: int, stop: int) -> Ref:
    return b.emit("slice", x, starts=(0, start), limits=(x.type.shape[0], stop), strides=(1, 1))


@example(lambda J, x: J.jnp.signbit(x))
@example(lambda J, x, y: J.jnp.copysign(x, y), reals(9), reals(9))
def signbit(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """Whether x is below 0; zero has no sign here."""
    return [b.emit("lt", x, _zero(b, x))]


@example(lambda J, x, n: J.jnp.ldexp(x, n), reals(30), ints(30, low=-17, high=20), rtol=1e-5, atol=1e-5)
@example(lambda J, x, n: J.jnp.ldexp(x, n), reals(9), ints(9, public=True), rtol=1e-5, atol=1e-5)
def ldexp(b: Builder, x: Ref, n: Ref, **_: Any) -> list[Ref]:
    """x * 2^n; of secret n those from -20 to 25."""

    def fn(jnp: Any, x: Any, n: Any) -> Any:
        down = n < 0
        power = (1 << jnp.where(down, n + 20, n)).astype(float)
        return x * jnp.where(down, power * 2.0**-20, power)

    x, n = (b.emit("convert", v, dtype=dtype) for v, dtype in ((x, "fixed"), (n, "i64")))
    return written(b, fn, x, n)


@example(lambda J, x, y: J.jnp.gcd(x, y), ints(40, low=-60, high=60), ints(40, low=-60, high=60))
@example(lambda J, x, y: J.jnp.gcd(6 * J.within(x, 0, 99), 4 * J.within(y, 0, 99)), *2 * (ints(9, low=0, high=99),))
@example(lambda J, x, y: J.jnp.lcm(x, y), ints(9, low=-60, high=60, dtype="int32"), ints(9, low=-60, dtype="int32"))
@example(lambda J, x, y: J.jnp.gcd(x, y), ints(5, dtype="int8"), ints(5, low=100, high=300, dtype="int16"))
@example(lambda J, x, y: J.jnp.gcd(x, y), ints(5, low=-(2**61), high=2**61), ints(5, low=-(2**61), high=2**61))
def gcd(b: Builder, x: Ref, y: Ref, *, dtype: str) -> list[Ref] | None:
    """The greatest common divisor, by Stein's algorithm (1967): about 20 rounds for each bit of x and of y."""
    if x.visibility == y.visibility == PUBLIC:
        return None
    x, y = (wrapped(b, v) for v in _alike(b, x, y, dtype))
    largest = max(b.interval(x).magnitude, b.interval(y).magnitude)
    width = 8 * x.type.numpy.itemsize
    steps = 2 * min(int(largest).bit_length() if np.isfinite(largest) else width, width)
    return written(b, lambda jnp, x, y: _gcd(jnp, x, y, steps), x, y)


def _gcd(jnp: Any, x: Any, y: Any, steps: int) -> Any:
    lax = jax().lax
    a, b = jnp.abs(x), jnp.abs(y)
    either = a | b
    # The twos that both are multiples of: the zeros below the lowest one.
    twos = lax.population_count(~either & (either - 1))
    a, b = a >> twos, b >> twos
    even = (b & 1) == 0
    a, b = jnp.where(even, b, a), jnp.where(even, a, b)

    def step(_: int, state: tuple[Any, Any]) -> tuple[Any, Any]:
        """b is odd, or both are 0. Each step takes a bit from one of them, and ends with a = 0."""
        a, b = state
        odd, less = (a & 1) == 1, a < b
        halved = jnp.where(odd, jnp.where(less, b - a, a - b), a) >> 1
        return halved, jnp.where(odd & less, a, b)

    _, b = lax.fori_loop(0, steps, step, (a, b))
    return b << twos


@example(lambda J, x: J.jnp.frexp(x), reals(30, low=-9, high=9))
@example(lambda J, x: J.jnp.frexp(x), reals(30, low=-(2**17), high=2**17))
@example(lambda J, n: J.jnp.frexp(n * 2.0**-17), ints(30, low=-20, high=20))
@example(lambda J, x: J.jnp.frexp(J.jnp.round(x)), reals(30))
@example(lambda J, x: J.jax.vmap(J.jax.vmap(J.jnp.frexp))(x), reals(3, 4))
def frexp(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """x as m 2^e with 0.5 <= |m| < 1, for |x| < 2^17; (0, 0) for 0. Of digits beyond the 18th nothing is known."""

    def fn(jnp: Any, x: Any) -> tuple[Any, Any]:
        size = jnp.abs(x)
        small = size < 1
        whole = jnp.where(small, jnp.where(small, size, 0.0) * 2**18, size).astype("int64")
        exponent = 64 - jax().lax.clz(whole) - jnp.where(small, 18, 0)
        exponent = jnp.where(whole == 0, 0, exponent).astype("int32")
        return jnp.ldexp(x, -exponent), exponent

    return written(b, fn, b.emit("convert", x, dtype="fixed"))


@example(lambda J, x: J.jax.scipy.special.gammasgn(x))
@example(lambda J, x: J.jax.scipy.special.gamma(x), reals(9, low=0.1, high=8), rtol=1e-3, atol=1e-3)
def gammasgn(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """The sign of Gamma(x): -1 where x is below 0 and its floor odd."""

    def fn(jnp: Any, x: Any) -> Any:
        odd = (jnp.floor(x).astype("int64") & 1) == 1
        return jnp.where((x < 0) & odd, -1.0, 1.0)

    return written(b, fn, x)


# erfc(z) = t exp(-z^2 + p(t)) for z >= 0 and t = 1 / (1 + z / 2), relative error 1.2e-7 (Press et al., Numerical
# Recipes in C, 2nd ed., section 6.2).
_ERFC = (
    0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368,
    -1.26551223,
)  # fmt: skip


@example(lambda J, x: J.jax.scipy.special.log_ndtr(x), reals(30, low=-40, high=9), rtol=2e-4, atol=2e-4)
@example(lambda J, x: J.jax.scipy.stats.norm.logcdf(x), reals(30, low=-6, high=3), rtol=2e-4, atol=2e-4)
def log_ndtr(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """The logarithm of the normal distribution function: what is small of it is found as a logarithm."""

    def fn(jnp: Any, x: Any) -> Any:
        z = jnp.abs(x) * 2**-0.5
        t = 1 / (1 + z / 2)
        p = jnp.full_like(t, _ERFC[0])
        for c in _ERFC[1:]:
            p = p * t + c
        lower = jnp.log(t) - z * z + p - np.log(2.0)
        return jnp.where(x < 0, lower, jnp.log(1 - jnp.exp(lower)))

    return written(b, fn, x)

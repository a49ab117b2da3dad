"""The functions of NumPy and JAX that programs may use, by cases: one list for the tests and for the table of the docs.

A case is a function of arrays; all its arguments are secret unless they are marked public. The cases of one function
are one program, so they share their runs. `error` bounds |found - wanted| / max(1, |wanted|) of the reals among the
results; integers and booleans must be equal.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, nn
from jax.scipy import special

from argot.vm.lower import within
from argot.vm.lower.example import Arg, bits, ints, reals

Array = np.ndarray[Any, np.dtype[Any]]
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@dataclass(frozen=True, eq=False)
class Case:
    """`fn` of arguments: random ones (`Arg`), or these arrays, which are secret."""

    fn: Callable[..., Any]
    args: tuple[Arg | Array, ...]


@dataclass(frozen=True, eq=False)
class Function:
    """What a user calls, and the error that no case may exceed; 0 where results are exact."""

    name: str
    cases: tuple[Case, ...]
    error: float
    note: str = ""

    def arrays(self) -> list[list[Array]]:
        """The arguments of each case, reals on the grid of 2^-18; the same ones in every run."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        return [[_drawn(rng, a) if isinstance(a, Arg) else a for a in case.args] for case in self.cases]


@dataclass(frozen=True)
class Missing:
    """What programs may not use: tracing `fn` raises an error whose text has `reason`."""

    name: str
    fn: Callable[..., Any]
    args: tuple[Arg, ...]
    reason: str


def _drawn(rng: np.random.Generator, arg: Arg) -> Array:
    dtype = np.dtype(arg.dtype)
    if dtype.kind == "f":
        return (np.round(rng.uniform(arg.low, arg.high, arg.shape) * 2**18) / 2**18).astype(dtype)
    return rng.integers(int(arg.low), int(arg.high), arg.shape).astype(dtype)


def on(fn: Callable[..., Any], *args: Arg | Array) -> Case:
    return Case(fn, args)


def function(name: str, *cases: Case, error: float = 0.0, note: str = "") -> Function:
    return Function(name, cases, error, note)


def _same(args: tuple[Arg, ...], shapes: tuple[tuple[int, ...], ...]) -> tuple[Arg, ...]:
    return tuple(replace(a, shape=s) for a, s in zip(args, shapes, strict=True))


SHAPES: dict[int, tuple[tuple[tuple[int, ...], ...], ...]] = {
    1: (((3, 4),), ((),), ((0, 3),)),
    2: (((3, 4), (3, 4)), ((3, 1), (4,)), ((), (3,)), ((0, 3), (3,))),
    3: (((3, 4), (3, 4), (3, 4)), ((3, 1), (4,), ())),
}


def elementwise(
    name: str, fn: Callable[..., Any], *args: Arg, error: float = 0.0, also: tuple[Arg, ...] = (), note: str = ""
) -> Function:
    """A function of single elements: on matrices, broadcast, of no axis, empty; `also` is one more dtype."""
    args = args or (reals(),)
    cases = [Case(fn, _same(args, shapes)) for shapes in SHAPES[len(args)]]
    if also:
        cases.append(Case(fn, _same(also, SHAPES[len(also)][0])))
    return Function(name, tuple(cases), error, note)


def over_axes(name: str, fn: Callable[..., Any], *, error: float = 0.0, empty: bool = True, note: str = "") -> Function:
    """A reduction: over all axes, one, a negative one, with `keepdims`, of reals and integers, of nothing."""
    cases = [
        on(lambda x: (fn(x), fn(x, axis=0), fn(x, axis=-1, keepdims=True)), reals(3, 4)),
        on(lambda x: (fn(x), fn(x, axis=1)), ints(3, 4)),
        on(fn, reals()),
    ]
    if empty:
        cases.append(on(lambda x: fn(x, axis=0), reals(0, 3)))
    return Function(name, tuple(cases), error, note)


def edges(dtype: str) -> Array:
    """The ends of an integer dtype, and numbers around 0 and around half of the ends."""
    info = np.iinfo(dtype)
    around = [info.min, info.min + 1, info.min // 2, -1, 0, 1, 3, info.max // 2, info.max // 2 + 1, info.max - 1]
    return np.array([n for n in [*around, info.max] if info.min <= n], dtype)


def pairs(dtype: str) -> tuple[Array, Array]:
    """All pairs of `edges`."""
    x, y = np.meshgrid(edges(dtype), edges(dtype))
    return x.ravel(), y.ravel()


def of_integers(name: str, fn: Callable[..., Any], note: str = "") -> Function:
    """An exact function of two integers, on all pairs of edges of every dtype."""
    return Function(name, tuple(Case(fn, pairs(dtype)) for dtype in INTEGERS), 0.0, note)


def of_integer(name: str, fn: Callable[..., Any], note: str = "") -> Function:
    return Function(name, tuple(Case(fn, (edges(dtype),)) for dtype in INTEGERS), 0.0, note)


def apart(x: Array, y: Array, limit: int) -> tuple[Array, Array]:
    """The pairs with |x|, |y| < limit."""
    keep = [abs(int(a)) < limit and abs(int(b)) < limit for a, b in zip(x, y, strict=True)]
    return x[keep], y[keep]


# The unit in the last place of reals, 2^-18, and what functions of a few steps may be wrong by.
STEP = 2.0**-18
FEW = 4 * STEP
POSITIVE = reals(low=0.05, high=40)
TWO_INTS = (ints(), ints())

ARITHMETIC = [
    elementwise("jnp.add", jnp.add, reals(), reals(), also=TWO_INTS),
    elementwise("jnp.subtract", jnp.subtract, reals(), reals(), also=TWO_INTS),
    elementwise("jnp.multiply", jnp.multiply, reals(), reals(), error=STEP, also=TWO_INTS),
    elementwise("jnp.divide", jnp.divide, reals(), POSITIVE, error=1e-4, also=(ints(), ints(low=1))),
    elementwise("jnp.negative", jnp.negative, also=(ints(),)),
    elementwise("jnp.positive", jnp.positive, also=(ints(),)),
    elementwise("jnp.abs", jnp.abs, also=(ints(),)),
    elementwise("jnp.fabs", jnp.fabs, also=(ints(),)),
    elementwise("jnp.sign", jnp.sign, also=(ints(),)),
    elementwise("jnp.signbit", jnp.signbit),
    elementwise("jnp.copysign", jnp.copysign, reals(), reals()),
    elementwise("jnp.heaviside", jnp.heaviside, reals(), reals(), error=STEP),
    elementwise("jnp.square", jnp.square, error=FEW, also=(ints(),)),
    elementwise("jnp.reciprocal", jnp.reciprocal, POSITIVE, error=FEW),
    elementwise("jnp.sqrt", jnp.sqrt, POSITIVE, error=FEW, also=(ints(low=0),)),
    elementwise("jnp.cbrt", jnp.cbrt, reals(low=0.1), error=1e-4),
    elementwise("jnp.hypot", jnp.hypot, reals(), reals(low=0.5), error=1e-4),
    elementwise("jnp.power", jnp.power, reals(low=0.1), reals(low=-2, high=2), error=1e-3),
    function(
        "x ** n",
        on(lambda x: (x**2, x**5, x**0, x**-1, x**0.5, x**1.5), reals(3, 4, low=0.3, high=3)),
        on(lambda x: (x**2, x**3), ints(3, 4)),
        on(lambda x: 2**x, ints(5, low=0, high=9)),
        on(lambda x: 2.0**x, reals(5)),
        error=1e-4,
    ),
    elementwise("jnp.float_power", jnp.float_power, reals(low=0.1), reals(low=-2, high=2), error=1e-3),
    elementwise("jnp.floor", jnp.floor),
    elementwise("jnp.ceil", jnp.ceil),
    elementwise("jnp.trunc", jnp.trunc),
    elementwise("jnp.rint", jnp.rint),
    elementwise("jnp.round", jnp.round),
    function("jnp.round, decimals", on(lambda x: (jnp.round(x, 1), jnp.round(x, 2)), reals(3, 4)), error=FEW),
    elementwise("jnp.modf", jnp.modf),
    elementwise("jnp.floor_divide", jnp.floor_divide, reals(), reals(low=0.5), also=(ints(), ints(low=1))),
    elementwise("jnp.remainder", jnp.remainder, reals(), reals(low=0.5), error=FEW, also=(ints(), ints(low=1))),
    elementwise("jnp.mod", jnp.mod, reals(), reals(low=0.5), error=FEW, also=(ints(), ints(low=1))),
    elementwise("jnp.divmod", jnp.divmod, reals(), reals(low=0.5), error=FEW, also=(ints(), ints(low=1))),
    elementwise("jnp.fmod", jnp.fmod, reals(), reals(low=0.5), also=(ints(), ints(low=1))),
    elementwise("jnp.maximum", jnp.maximum, reals(), reals(), also=TWO_INTS),
    elementwise("jnp.minimum", jnp.minimum, reals(), reals(), also=TWO_INTS),
    elementwise("jnp.fmax", jnp.fmax, reals(), reals(), also=TWO_INTS),
    elementwise("jnp.fmin", jnp.fmin, reals(), reals(), also=TWO_INTS),
    elementwise("jnp.clip", jnp.clip, reals(), reals(high=0), reals(low=0), also=(ints(), ints(high=0), ints(low=0))),
    elementwise("jnp.real", jnp.real),
    elementwise("jnp.imag", jnp.imag),
    elementwise("jnp.conjugate", jnp.conjugate),
    elementwise("jnp.angle", jnp.angle, error=FEW),
    elementwise("jnp.nan_to_num", jnp.nan_to_num),
    elementwise("jnp.ldexp", jnp.ldexp, reals(), ints(low=-9), error=1e-4),
    function(
        "jnp.gcd",
        on(jnp.gcd, ints(9, low=-60, high=60, dtype="int8"), ints(9, low=-60, high=60, dtype="int8")),
        on(lambda x: jnp.gcd(within(x, 0, 99), 12), ints(3, 2, low=0, high=99)),
        note="about 20 rounds a bit: promise a range",
    ),
    function("jnp.lcm", on(jnp.lcm, ints(9, low=-9, dtype="int8"), ints(9, low=-9, dtype="int8"))),
    function("jnp.polyval", on(jnp.polyval, reals(4), reals(3, 4, high=2)), error=1e-3),
    function("jnp.diff", on(lambda x: (jnp.diff(x), jnp.diff(x, axis=0, n=2)), reals(4, 5)), on(jnp.diff, ints(7))),
    function("jnp.ediff1d", on(jnp.ediff1d, reals(3, 4)), on(jnp.ediff1d, ints(7))),
    function("jnp.gradient", on(jnp.gradient, reals(7)), error=FEW),
    function("jnp.trapezoid", on(jnp.trapezoid, reals(3, 4)), error=FEW),
    function("jnp.interp", on(lambda x, y: jnp.interp(x, jnp.arange(5.0), y), reals(6, low=0), reals(5)), error=1e-3),
    function("jnp.unwrap", on(jnp.unwrap, reals(7, low=-9, high=9)), error=1e-3),
    function("jnp.cross", on(jnp.cross, reals(4, 3), reals(4, 3)), error=FEW),
    function("jnp.convolve", on(jnp.convolve, reals(7), reals(3)), on(jnp.convolve, ints(7), ints(3)), error=FEW),
    function("jnp.correlate", on(jnp.correlate, reals(7), reals(3)), error=FEW),
    function("jnp.cov", on(jnp.cov, reals(3, 6)), error=1e-4),
    function("jnp.corrcoef", on(jnp.corrcoef, reals(3, 6)), error=1e-4),
]

ELEMENTARY = [
    elementwise("jnp.exp", jnp.exp, error=FEW, also=(ints(high=5),)),
    elementwise("jnp.exp2", jnp.exp2, error=FEW),
    elementwise("jnp.expm1", jnp.expm1, error=FEW),
    elementwise("jnp.log", jnp.log, POSITIVE, error=FEW),
    elementwise("jnp.log2", jnp.log2, POSITIVE, error=FEW),
    elementwise("jnp.log10", jnp.log10, POSITIVE, error=FEW),
    elementwise("jnp.log1p", jnp.log1p, POSITIVE, error=FEW),
    elementwise("jnp.logaddexp", jnp.logaddexp, reals(), reals(), error=1e-4),
    elementwise("jnp.logaddexp2", jnp.logaddexp2, reals(), reals(), error=1e-4),
    elementwise("jnp.sin", jnp.sin, error=FEW),
    elementwise("jnp.cos", jnp.cos, error=FEW),
    elementwise("jnp.tan", jnp.tan, reals(low=-1.4, high=1.4), error=1e-3),
    elementwise("jnp.arcsin", jnp.arcsin, reals(low=-1, high=1), error=1e-3),
    elementwise("jnp.arccos", jnp.arccos, reals(low=-1, high=1), error=1e-3),
    elementwise("jnp.arctan", jnp.arctan, error=1e-4),
    elementwise("jnp.arctan2", jnp.arctan2, reals(), reals(), error=1e-4),
    elementwise("jnp.sinh", jnp.sinh, error=1e-4),
    elementwise("jnp.cosh", jnp.cosh, error=1e-4),
    elementwise("jnp.tanh", jnp.tanh, error=1e-4),
    elementwise("jnp.arcsinh", jnp.arcsinh, error=1e-4),
    elementwise("jnp.arccosh", jnp.arccosh, reals(low=1), error=1e-3),
    elementwise("jnp.arctanh", jnp.arctanh, reals(low=-0.99, high=0.99), error=1e-3),
    elementwise("jnp.sinc", jnp.sinc, error=1e-4),
    elementwise("jnp.deg2rad", jnp.deg2rad, reals(low=-180, high=180), error=FEW),
    elementwise("jnp.rad2deg", jnp.rad2deg, error=FEW),
    elementwise("jnp.i0", jnp.i0, error=1e-3),
    elementwise("lax.rsqrt", lax.rsqrt, POSITIVE, error=FEW),
    elementwise("special.erf", special.erf, error=1e-4),
    elementwise("special.erfc", special.erfc, error=1e-4),
    elementwise("special.erfinv", special.erfinv, reals(low=-0.95, high=0.95), error=1e-3),
    elementwise("jnp.frexp", jnp.frexp, error=FEW),
    elementwise("special.gammainc", lambda x: special.gammainc(2.0, x), reals(low=0, high=20), error=2e-4),
    elementwise("special.gammaincc", lambda x: special.gammaincc(3.5, x), reals(low=0, high=20), error=2e-4),
    elementwise("special.betainc", lambda x: special.betainc(2.0, 3.0, x), reals(low=0, high=1), error=2e-4),
    elementwise("special.gamma", special.gamma, reals(low=1, high=4), error=1e-2),
    elementwise("special.gammaln", special.gammaln, reals(low=0.2, high=20), error=2e-4),
    elementwise("special.digamma", special.digamma, reals(low=0.2, high=20), error=2e-4),
    elementwise("special.betaln", special.betaln, reals(low=0.3), reals(low=0.3), error=1e-3),
    elementwise("special.factorial", special.factorial, reals(low=0, high=5), error=1e-3),
    elementwise("special.expit", special.expit, error=2e-4),
    elementwise("special.logit", special.logit, reals(low=0.02, high=0.98), error=1e-3),
    elementwise("special.xlogy", special.xlogy, reals(), POSITIVE, error=1e-4),
    elementwise("special.xlog1py", special.xlog1py, reals(), POSITIVE, error=1e-4),
    elementwise("special.entr", special.entr, reals(low=0.05), error=1e-4),
    elementwise("special.rel_entr", special.rel_entr, reals(low=0.1), reals(low=0.1), error=1e-3),
    elementwise("special.kl_div", special.kl_div, reals(low=0.1), reals(low=0.1), error=1e-3),
    elementwise("special.ndtr", special.ndtr, error=2e-4),
    elementwise("special.log_ndtr", special.log_ndtr, reals(low=-3, high=3), error=1e-2),
    elementwise("special.ndtri", special.ndtri, reals(low=0.05, high=0.95), error=1e-3),
    elementwise("special.i0e", special.i0e, error=2e-4),
    elementwise("special.i1", special.i1, error=1e-3),
    elementwise("special.i1e", special.i1e, error=2e-4),
]

BOTH_SIGNS = "int64 and uint64: all 64 bits"

LOGIC = [
    *(
        function(
            f"jnp.{fn.__name__}",
            on(fn, reals(3, 4), reals(3, 4)),
            on(fn, reals(3, 1), reals(4)),
            on(fn, reals(), reals(3)),
            on(fn, reals(0, 3), reals(3)),
            on(fn, bits(9), bits(9)),
            *(Case(fn, pairs(dtype)) for dtype in INTEGERS),
            note=BOTH_SIGNS,
        )
        for fn in (jnp.equal, jnp.not_equal, jnp.less, jnp.less_equal, jnp.greater, jnp.greater_equal)
    ),
    elementwise("jnp.isclose", jnp.isclose, reals(), reals(), also=TWO_INTS),
    function("jnp.allclose", on(lambda x: (jnp.allclose(x, x), jnp.allclose(x, x + 0.1)), reals(3, 4))),
    function("jnp.array_equal", on(lambda x, y: (jnp.array_equal(x, x), jnp.array_equal(x, y)), ints(9), ints(9))),
    function("jnp.array_equiv", on(lambda x: (jnp.array_equiv(x, x), jnp.array_equiv(x, x[0])), ints(3, 4))),
    *(
        elementwise(f"jnp.{fn.__name__}", fn, bits(), bits(), also=(ints(low=-1, high=2), ints(low=-1, high=2)))
        for fn in (jnp.logical_and, jnp.logical_or, jnp.logical_xor)
    ),
    elementwise("jnp.logical_not", jnp.logical_not, bits(), also=(ints(low=-1, high=2),)),
    function(
        "jnp.where",
        on(jnp.where, bits(3, 4), reals(3, 4), reals(3, 4)),
        on(jnp.where, bits(3, 1), ints(4), ints()),
        on(jnp.where, bits(3), bits(3), bits(3)),
        on(jnp.where, bits(0, 2), reals(2), reals()),
    ),
    function("jnp.select", on(lambda x: jnp.select([x < -1, x > 1], [x, 2 * x], 7.0), reals(3, 4)), error=STEP),
    function(
        "jnp.piecewise", on(lambda x: jnp.piecewise(x, [x < 0, x >= 0], [lambda v: -v, jnp.sqrt]), reals(9)), error=FEW
    ),
    function(
        "jnp.choose", on(lambda i, x: jnp.choose(i, [x, 2 * x, -x], mode="clip"), ints(4, low=0, high=3), ints(4))
    ),
    *(
        elementwise(f"jnp.{fn.__name__}", fn, also=(ints(),))
        for fn in (jnp.isfinite, jnp.isinf, jnp.isnan, jnp.isneginf, jnp.isposinf, jnp.isreal, jnp.iscomplex)
    ),
    function("jnp.any", on(lambda x: (jnp.any(x), jnp.any(x, axis=-1)), bits(3, 4)), on(jnp.any, ints(0, 3))),
    function("jnp.all", on(lambda x: (jnp.all(x), jnp.all(x, axis=-1)), bits(3, 4)), on(jnp.all, ints(0, 3))),
]

BITWISE = (jnp.bitwise_and, jnp.bitwise_or, jnp.bitwise_xor)
SMALL = 2**62
QUOTIENTS = "|x|, |y| < 2^62; x / 0 as XLA has it"


def quotients(name: str, fn: Callable[..., Any]) -> Function:
    return Function(name, tuple(Case(fn, apart(*pairs(dtype), SMALL)) for dtype in INTEGERS), 0.0, QUOTIENTS)


def shifts(fn: Callable[..., Any]) -> tuple[Case, ...]:
    """By secret numbers, by public ones and by constants, within the width and beyond."""
    cases = []
    for dtype in INTEGERS:
        x, width = edges(dtype), np.iinfo(dtype).bits
        by = np.resize(np.array([0, 1, 3, width - 1, width // 2], dtype), x.shape)
        cases += [Case(fn, (x, by)), Case(lambda v, n=by: fn(v, jnp.asarray(n)), (x,))]
    return tuple(cases)


EXACT_INTEGERS = [
    of_integers("integers: +, -, *", lambda x, y: (x + y, x - y, x * y), note="they wrap"),
    of_integers("integers: maximum, minimum", lambda x, y: (jnp.maximum(x, y), jnp.minimum(x, y))),
    quotients("integers: //, %", lambda x, y: (x // y, x % y)),
    quotients("lax.div, lax.rem", lambda x, y: (lax.div(x, y), lax.rem(x, y))),
    *(of_integers(f"jnp.{fn.__name__}", fn) for fn in BITWISE),
    of_integer("jnp.bitwise_not", jnp.bitwise_not),
    of_integer("jnp.invert", jnp.invert),
    of_integer("jnp.bitwise_count", jnp.bitwise_count),
    of_integer("lax.clz", lax.clz),
    of_integer("integers: abs, sign, -x", lambda x: (jnp.abs(x), jnp.sign(x), -x)),
    function("jnp.left_shift", *shifts(jnp.left_shift)),
    function("jnp.right_shift", *shifts(jnp.right_shift)),
    function("lax.shift_right_logical", *shifts(lax.shift_right_logical)),
    function(
        "x.astype",
        *(Case(lambda x: tuple(x.astype(d) for d in INTEGERS), (edges(dtype),)) for dtype in INTEGERS),
        on(lambda x: (x.astype(int), x.astype(bool), x.astype(jnp.int8)), reals(3, 4)),
        on(lambda x: (x.astype(int), x.astype(float)), bits(3, 4)),
        on(lambda x: (x.astype(float), x.astype(bool)), ints(3, 4)),
        error=STEP,
    ),
]

REDUCTIONS = [
    over_axes("jnp.sum", jnp.sum),
    over_axes("jnp.prod", jnp.prod, error=1e-4),
    over_axes("jnp.max", jnp.max, empty=False),
    over_axes("jnp.min", jnp.min, empty=False),
    over_axes("jnp.mean", jnp.mean, error=FEW, empty=False),
    over_axes("jnp.var", jnp.var, error=1e-4, empty=False),
    over_axes("jnp.std", jnp.std, error=1e-4, empty=False),
    over_axes("jnp.ptp", jnp.ptp, empty=False),
    over_axes("jnp.argmax", jnp.argmax, empty=False, note="the first of equals"),
    over_axes("jnp.argmin", jnp.argmin, empty=False, note="the first of equals"),
    over_axes("jnp.count_nonzero", jnp.count_nonzero),
    over_axes("jnp.median", jnp.median, error=FEW, empty=False),
    function(
        "jnp.average", on(lambda x, w: jnp.average(x, axis=0, weights=w), reals(4, 3), reals(4, low=1)), error=1e-4
    ),
    function(
        "jnp.quantile",
        on(lambda x: jnp.quantile(x, jnp.array([0.1, 0.5, 0.9]), axis=0), reals(6, 2)),
        on(lambda x: [jnp.quantile(x, 0.3, method=m) for m in ("lower", "higher", "nearest", "midpoint")], reals(6)),
        error=FEW,
    ),
    function("jnp.percentile", on(lambda x: jnp.percentile(x, 25.0, axis=-1), reals(2, 6)), error=FEW),
    *(over_axes(f"jnp.{fn.__name__}", fn, error=1e-4) for fn in (jnp.nansum, jnp.nanprod)),
    *(
        over_axes(f"jnp.{fn.__name__}", fn, error=1e-4, empty=False)
        for fn in (
            jnp.nanmean,
            jnp.nanvar,
            jnp.nanstd,
            jnp.nanmax,
            jnp.nanmin,
            jnp.nanargmax,
            jnp.nanargmin,
            jnp.nanmedian,
        )
    ),
    function("jnp.nanquantile", on(lambda x: jnp.nanquantile(x, 0.4, axis=0), reals(6, 2)), error=1e-4),
    function(
        "where= of reductions",
        on(lambda x, m: (jnp.sum(x, where=m), jnp.mean(x, where=m)), reals(3, 4), bits(3, 4)),
        on(lambda x, m: (jnp.max(x, where=m, initial=-9.0), jnp.prod(x, axis=0, where=m)), reals(3, 4), bits(3, 4)),
        on(lambda x, m: (jnp.any(x, where=m), jnp.all(x, where=m)), bits(3, 4), bits(3, 4)),
        error=1e-4,
        note="masks are secret",
    ),
    function("jnp.cumsum", on(lambda x: (jnp.cumsum(x), jnp.cumsum(x, axis=-1)), reals(3, 4)), on(jnp.cumsum, ints(0))),
    function(
        "jnp.cumprod",
        on(lambda x: jnp.cumprod(x, axis=-1), reals(3, 4, low=-2, high=2)),
        on(jnp.cumprod, ints(5)),
        error=1e-4,
    ),
    function("jnp.nancumsum", on(jnp.nancumsum, reals(3, 4))),
    function(
        "lax.cummax",
        on(lambda x: (lax.cummax(x), lax.cummax(x, 1, reverse=True)), reals(3, 4)),
        on(lax.cummax, ints(7)),
    ),
    function(
        "lax.cummin",
        on(lambda x: (lax.cummin(x), lax.cummin(x, 1, reverse=True)), reals(3, 4)),
        on(lax.cummin, ints(7)),
    ),
    function("lax.cumlogsumexp", on(lax.cumlogsumexp, reals(5)), error=1e-3),
    function(
        "special.logsumexp",
        on(lambda x: (special.logsumexp(x), special.logsumexp(x, axis=-1, keepdims=True)), reals(3, 4)),
        error=1e-4,
    ),
    function(
        "jax.ops.segment_sum",
        on(lambda x, i: jax.ops.segment_sum(x, i, num_segments=3), reals(7), ints(7, low=0, high=3)),
        error=FEW,
    ),
    function(
        "jax.ops.segment_max",
        on(lambda x, i: jax.ops.segment_max(x, i, num_segments=3), reals(7), np.array([2, 0, 1, 1, 0, 2, 1])),
    ),
]

TIES = np.array([3, 1, 2, 1, 3, 3, 0, 2])

SORTING = [
    function(
        "jnp.sort",
        on(lambda x: (jnp.sort(x), jnp.sort(x, axis=0), jnp.sort(x, axis=None)), reals(3, 4)),
        on(lambda x: jnp.sort(x, descending=True), ints(9)),
        on(jnp.sort, bits(9)),
        on(jnp.sort, reals(0)),
        *(Case(jnp.sort, (edges(dtype)[::-1].copy(),)) for dtype in INTEGERS),
    ),
    function(
        "jnp.argsort",
        on(lambda x: (jnp.argsort(x), jnp.argsort(x, descending=True)), TIES),
        on(jnp.argsort, reals(3, 4)),
        note="stable",
    ),
    function("jnp.lexsort", on(lambda x, y: jnp.lexsort((x, y)), ints(8, low=0, high=3), TIES), note="stable"),
    function(
        "lax.sort",
        on(lambda x, y: lax.sort((x, y), num_keys=1), TIES, reals(8)),
        on(lambda x, y: lax.sort((x, y), num_keys=2), TIES, reals(8)),
    ),
    function(
        "lax.top_k",
        on(lambda x: lax.top_k(x, 3), reals(2, 6)),
        on(lambda x: lax.top_k(x, 3), TIES),
        note="the first of equals",
    ),
    function("jnp.partition", on(lambda x: jnp.sort(jnp.partition(x, 3)[:3]), reals(8))),
    function(
        "jnp.unique, size=",
        on(lambda x: jnp.unique(x, size=5, return_counts=True, return_inverse=True, return_index=True), TIES),
    ),
    function(
        "jnp.nonzero, size=",
        on(lambda x: jnp.nonzero(x, size=5), bits(3, 4)),
        on(lambda x: jnp.flatnonzero(x, size=3, fill_value=-1), bits(8)),
    ),
    function("jnp.argwhere, size=", on(lambda x: jnp.argwhere(x, size=4), bits(3, 4))),
    function("jnp.compress, size=", on(lambda m, x: jnp.compress(m, x, size=4, fill_value=0), bits(8), ints(8))),
    function("jnp.isin", on(jnp.isin, ints(3, 4), ints(5))),
    function("jnp.union1d, size=", on(lambda x, y: jnp.union1d(x, y, size=8), TIES, ints(4, low=0, high=6))),
    function("jnp.intersect1d, size=", on(lambda x, y: jnp.intersect1d(x, y, size=4), TIES, ints(4, low=0, high=6))),
    function("jnp.setdiff1d, size=", on(lambda x, y: jnp.setdiff1d(x, y, size=4), TIES, ints(4, low=0, high=6))),
    function(
        "jnp.searchsorted",
        on(lambda x: jnp.searchsorted(jnp.array([-2.0, 0.0, 1.0, 3.0]), x), reals(3, 4)),
        on(
            lambda a, x: (jnp.searchsorted(a, x), jnp.searchsorted(a, x, side="right")), np.array([0, 1, 1, 3, 5]), TIES
        ),
    ),
    function("jnp.digitize", on(lambda x: jnp.digitize(x, jnp.array([-2.0, 0.0, 1.0, 3.0])), reals(9))),
    function(
        "jnp.histogram", on(lambda x: jnp.histogram(x, bins=4, range=(-4, 4)), reals(20)), error=FEW, note="range="
    ),
    function(
        "jnp.bincount, length=",
        on(lambda x: jnp.bincount(x, length=5), TIES),
        on(lambda x, w: jnp.bincount(x, w, length=4), TIES, reals(8)),
        error=FEW,
    ),
]

SHAPING = [
    function(
        "jnp.reshape",
        on(lambda x: (jnp.reshape(x, (6, 2)), x.reshape(-1), jnp.ravel(x)), reals(3, 4)),
        on(lambda x: x.reshape(3, 0), bits(0, 3)),
    ),
    function(
        "jnp.transpose",
        on(lambda x: (x.T, jnp.transpose(x, (2, 0, 1)), jnp.swapaxes(x, 0, -1), jnp.moveaxis(x, 0, -1)), ints(2, 3, 4)),
        on(jnp.transpose, bits(3, 2)),
    ),
    function("jnp.squeeze", on(lambda x: (jnp.squeeze(x), jnp.squeeze(x, -1), jnp.expand_dims(x, -1)), reals(1, 3, 1))),
    function(
        "jnp.broadcast_to",
        on(lambda x: jnp.broadcast_to(x, (2, 3, 4)), reals(3, 1)),
        on(lambda x: jnp.broadcast_to(x, (3,)), bits()),
    ),
    function("jnp.atleast_1d", on(lambda x: (jnp.atleast_1d(x), jnp.atleast_2d(x), jnp.atleast_3d(x)), reals())),
    function(
        "jnp.concatenate",
        on(
            lambda x, y: (jnp.concatenate([x, y]), jnp.concatenate([x, x], axis=-1), jnp.append(x, y)),
            reals(2, 3),
            reals(0, 3),
        ),
        on(lambda x, y: jnp.concatenate([x, y]), bits(2), bits(3)),
    ),
    function(
        "jnp.stack",
        on(
            lambda x, y: (jnp.stack([x, y], -1), jnp.hstack([x, y]), jnp.vstack([x, y]), jnp.column_stack([x, y])),
            ints(3),
            ints(3),
        ),
    ),
    function("jnp.split", on(lambda x: (jnp.split(x, 2, axis=-1), jnp.array_split(x, 2)), reals(3, 4))),
    function("jnp.block", on(lambda x: jnp.block([[x, x], [x, -x]]), reals(2, 2))),
    function(
        "jnp.tile",
        on(lambda x: (jnp.tile(x, (2, 1)), jnp.repeat(x, 2, axis=-1)), reals(2, 3)),
        on(lambda x: jnp.tile(x, 2), bits(3)),
    ),
    function("jnp.flip", on(lambda x: (jnp.flip(x), jnp.fliplr(x), jnp.flipud(x), jnp.rot90(x)), reals(2, 3))),
    function("jnp.roll", on(lambda x: (jnp.roll(x, 2), jnp.roll(x, -1, axis=-1)), ints(3, 4))),
    function(
        "jnp.pad",
        on(
            lambda x: [
                jnp.pad(x, ((1, 2), (0, 1)), mode=m) for m in ("constant", "edge", "reflect", "wrap", "symmetric")
            ],
            reals(3, 4),
        ),
        on(lambda x: jnp.pad(x, 1), bits(2, 2)),
    ),
    function("jnp.tril, jnp.triu", on(lambda x: (jnp.tril(x), jnp.triu(x, 1)), reals(3, 4))),
    function(
        "jnp.diag", on(lambda x: (jnp.diag(x), jnp.diagonal(x, 1), jnp.trace(x), jnp.diag(jnp.diag(x))), ints(3, 3))
    ),
    function("jnp.meshgrid", on(jnp.meshgrid, reals(2), reals(3))),
    function("jnp.delete, jnp.insert", on(lambda x, y: (jnp.delete(x, 1), jnp.insert(x, 2, y)), reals(5), reals())),
    function("jnp.vander", on(lambda x: jnp.vander(x, 3), reals(4)), error=FEW),
    function("jnp.apply_along_axis", on(lambda x: jnp.apply_along_axis(jnp.sum, 0, x), reals(3, 4))),
]

INDEX = ints(4, low=0, high=5)
PUBLIC_INDEX = ints(4, low=0, high=5, public=True)


def at(name: str, error: float = 0.0) -> Function:
    """`x.at[i].name(y)`, with repeated indices, secret and public, and at a slice."""

    def fn(x: Any, i: Any, y: Any) -> Any:
        return getattr(x.at[i], name)(y)

    many = np.array([1, 4, 0, 1]) if name != "set" else np.array([1, 4, 0, 3])
    return function(
        f"x.at[i].{name}",
        on(fn, reals(5), many, reals(4)),
        on(fn, ints(5, 2), many, ints(4, 2)),
        on(lambda x, y: fn(x, jnp.asarray(many), y), reals(5), reals(4)),
        on(lambda x, y: getattr(x.at[1:, -1], name)(y), reals(3, 4), reals()),
        error=error,
        note="at most 64 updates at secret places" if name not in ("add", "subtract") else "",
    )


INDEXING = [
    function(
        "x[i]",
        on(lambda x: (x[1], x[-1, ::-2], x[..., None, 1:3], x[jnp.array([0, 2])]), reals(3, 4)),
        on(lambda x, i: x[i], reals(5), INDEX),
        on(lambda x, i: x[i], ints(5, 2), INDEX),
        on(lambda x, i: x[i], bits(5), INDEX),
        on(lambda x, i: x[:, i], reals(2, 5), INDEX),
        on(lambda x, i, j: x[i, j], reals(5, 5), INDEX, INDEX),
        on(lambda x, i: x[i], reals(5, 2), PUBLIC_INDEX),
        note="secret indices choose elements and rows",
    ),
    function(
        "jnp.take",
        on(lambda x, i: (jnp.take(x, i, axis=0), jnp.take(x, i, axis=-1)), reals(5, 5), INDEX),
        on(lambda x, i: jnp.take(x, i, axis=0), ints(5, 2), PUBLIC_INDEX),
    ),
    function(
        "jnp.take_along_axis",
        on(lambda x, i: jnp.take_along_axis(x, i, axis=-1), reals(3, 5), ints(3, 2, low=0, high=5)),
        on(lambda x: jnp.take_along_axis(x, jnp.argsort(x, -1), -1), ints(2, 5)),
    ),
    at("set"),
    at("add"),
    at("subtract"),
    at("multiply", error=FEW),
    at("min"),
    at("max"),
    function("x.at[i].get", on(lambda x, i: x.at[i].get(mode="fill", fill_value=0), reals(5), ints(4, low=0, high=8))),
    function(
        "lax.dynamic_slice",
        on(lambda x, i: lax.dynamic_slice(x, (i,), (3,)), reals(7), ints(low=0, high=6)),
        on(
            lambda x, i, j: lax.dynamic_slice(x, (i, j), (2, 2)),
            ints(4, 5),
            ints(low=0),
            ints(low=0, high=4, public=True),
        ),
        note="secret starts",
    ),
    function(
        "lax.dynamic_update_slice",
        on(lambda x, y, i: lax.dynamic_update_slice(x, y, (i,)), reals(7), reals(3), ints(low=0, high=6)),
        on(
            lambda x, y, i: lax.dynamic_update_slice(x, y, (i, 0)),
            ints(4, 2),
            ints(2, 2),
            ints(low=0, high=3, public=True),
        ),
        note="secret starts",
    ),
    function(
        "lax.dynamic_index_in_dim",
        on(lambda x, i: lax.dynamic_index_in_dim(x, i, 1, keepdims=False), reals(3, 4), ints(low=0, high=4)),
    ),
    function(
        "nn.one_hot",
        on(lambda i: nn.one_hot(i, 5), ints(3, 4, low=-1, high=6)),
        on(lambda i: nn.one_hot(i, 5, axis=0), ints(3, low=0, high=5)),
    ),
]

BALANCED = np.array([[4.0, 1.0, -0.5], [1.0, 3.0, 0.25], [-0.5, 0.25, 2.0]])
TALL = reals(4, 3)


def _orthogonal(q: Any) -> Any:
    return q.T @ q


def _svd(x: Any) -> Any:
    u, s, v = jnp.linalg.svd(x, full_matrices=False)
    return u * s @ v, s, _orthogonal(u)


def _eigh(x: Any) -> Any:
    values, vectors = jnp.linalg.eigh(x)
    return values, vectors * values @ vectors.T, _orthogonal(vectors)


LINEAR_ALGEBRA = [
    function(
        "jnp.dot",
        on(jnp.dot, reals(3, 4), reals(4)),
        on(jnp.dot, reals(4), reals(4)),
        on(jnp.dot, reals(), reals(3)),
        on(jnp.dot, ints(3, 4), ints(4, 2)),
        error=FEW,
    ),
    function(
        "jnp.matmul",
        on(jnp.matmul, reals(3, 4), reals(4, 2)),
        on(jnp.matmul, reals(2, 3, 4), reals(4, 2)),
        on(jnp.matmul, reals(0, 4), reals(4, 2)),
        on(jnp.matmul, reals(2, 0), reals(0, 2)),
        on(jnp.matmul, ints(9, 9), ints(9, 9)),
        error=FEW,
    ),
    function("jnp.vdot", on(jnp.vdot, reals(3, 4), reals(3, 4)), error=FEW),
    function("jnp.inner", on(jnp.inner, reals(3, 4), reals(2, 4)), error=FEW),
    function("jnp.outer", on(jnp.outer, reals(3), reals(4)), on(jnp.outer, ints(3), ints(2)), error=FEW),
    function("jnp.kron", on(jnp.kron, reals(2, 2), reals(2, 3)), error=FEW),
    function(
        "jnp.tensordot",
        on(lambda x, y: jnp.tensordot(x, y, axes=((0, 2), (1, 0))), reals(2, 3, 4), reals(4, 2, 3)),
        error=FEW,
    ),
    function(
        "jnp.einsum",
        *(
            on(lambda x, y, s=s: jnp.einsum(s, x, y), reals(2, 3), reals(3, 4))
            for s in ("ij,jk->ik", "ij,jk->k", "ij,jk->kji")
        ),
        on(lambda x: (jnp.einsum("ii->i", x), jnp.einsum("ij->ji", x)), ints(3, 3)),
        error=FEW,
    ),
    function(
        "lax.dot_general",
        *(
            on(lambda x, y, d=d: lax.dot_general(x, y, d), reals(*a), reals(*b))
            for d, a, b in (
                ((((1,), (0,)), ((), ())), (3, 4), (4, 2)),
                ((((2,), (1,)), ((0,), (0,))), (2, 3, 4), (2, 4, 5)),
                ((((1, 3), (0, 2)), ((0,), (3,))), (2, 3, 4, 2), (3, 5, 2, 2)),
                (((((), ())), ((0,), (0,))), (3, 2), (3, 4)),
            )
        ),
        error=FEW,
        note="any batch and contracted axes",
    ),
    function(
        "linalg.norm",
        on(
            lambda x: (
                jnp.linalg.norm(x),
                jnp.linalg.norm(x, axis=-1),
                jnp.linalg.norm(x, ord=1),
                jnp.linalg.norm(x, ord=jnp.inf),
            ),
            reals(3, 4),
        ),
        error=1e-4,
    ),
    function(
        "linalg.matrix_power", on(lambda x: jnp.linalg.matrix_power(x, 3), reals(3, 3, low=-1, high=1)), error=1e-4
    ),
    function(
        "linalg.multi_dot", on(lambda x, y: jnp.linalg.multi_dot([x, y, x]), reals(2, 3), reals(3, 2)), error=1e-4
    ),
    function("linalg.inv", on(lambda x: jnp.linalg.inv(x + 6 * jnp.eye(3)), reals(3, 3)), error=1e-4),
    function(
        "linalg.solve",
        on(lambda x, y: jnp.linalg.solve(x + 6 * jnp.eye(3), y), reals(3, 3), reals(3)),
        on(lambda x, y: jnp.linalg.solve(x + 6 * jnp.eye(3), y), reals(3, 3), reals(3, 2)),
        error=1e-4,
    ),
    function(
        "linalg.det",
        on(lambda x: (jnp.linalg.det(x + 4 * jnp.eye(3)), jnp.linalg.slogdet(x + 4 * jnp.eye(3))), reals(3, 3)),
        error=1e-3,
    ),
    function("linalg.cholesky", on(jnp.linalg.cholesky, BALANCED), error=1e-4),
    function("linalg.qr", on(jnp.linalg.qr, TALL), error=1e-3),
    function(
        "linalg.svd",
        on(_svd, TALL),
        on(lambda x: jnp.linalg.svd(x, compute_uv=False), TALL),
        error=1e-3,
        note="full_matrices=False",
    ),
    function("linalg.eigh", on(_eigh, BALANCED), on(jnp.linalg.eigvalsh, BALANCED), error=1e-3),
    function("linalg.pinv", on(jnp.linalg.pinv, TALL), error=1e-3),
    function("linalg.lstsq", on(lambda x, y: jnp.linalg.lstsq(x, y)[0], TALL, reals(4)), error=1e-3),
    function(
        "jsp.linalg.solve_triangular",
        on(lambda x, y: jax.scipy.linalg.solve_triangular(x + 6 * jnp.eye(3), y, lower=True), reals(3, 3), reals(3)),
        error=1e-4,
    ),
    function(
        "jsp.linalg.cho_solve",
        on(lambda x, y: jax.scipy.linalg.cho_solve(jax.scipy.linalg.cho_factor(x), y), BALANCED, reals(3)),
        error=1e-3,
    ),
    function("jsp.linalg.lu", on(lambda x: jax.scipy.linalg.lu(x), reals(3, 3)), error=1e-2),
]

IMAGE, SIGNAL = reals(2, 3, 6, 5), reals(2, 3, 8)
KERNEL = reals(4, 3, 3, 2)


def conv(padding: Any = "VALID", **how: Any) -> Callable[..., Any]:
    def fn(x: Any, w: Any) -> Any:
        return lax.conv_general_dilated(
            x, w, how.get("strides", (1,) * (x.ndim - 2)), padding, **{k: v for k, v in how.items() if k != "strides"}
        )

    return fn


def pool(x: Any, init: float, what: Any, padding: str = "VALID") -> Any:
    return lax.reduce_window(x, init, what, (1, 1, 2, 2), (1, 1, 2, 1), padding)


def max_pool(x: Any, padding: str = "VALID") -> Any:
    return pool(x, -jnp.inf, lax.max, padding)


def avg_pool(x: Any, padding: str = "VALID") -> Any:
    return pool(x, 0.0, lax.add, padding) / 4


def layer_norm(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt(jnp.mean(centred**2, -1, keepdims=True) + 1e-3) * scale + shift


def batch_norm(x: Any, scale: Any, shift: Any) -> Any:
    centred = x - x.mean(0)
    return centred / jnp.sqrt(x.var(0) + 1e-3) * scale + shift


ACTIVATIONS: list[tuple[Callable[..., Any], float]] = [
    (nn.relu, 0.0), (nn.relu6, 0.0), (nn.sigmoid, 1e-4), (nn.softplus, 1e-4), (nn.log_sigmoid, 1e-4), (nn.silu, 5e-4),
    (nn.elu, 1e-4), (nn.selu, 1e-4), (nn.celu, 1e-4), (nn.leaky_relu, FEW), (nn.hard_tanh, 0.0), (nn.hard_sigmoid, FEW),
    (nn.hard_silu, FEW), (nn.soft_sign, 2 * FEW), (nn.squareplus, 1e-4), (nn.mish, 1e-3), (nn.sparse_plus, 1e-4),
    (nn.sparse_sigmoid, FEW),
]  # fmt: skip

NETWORKS = [
    *(elementwise(f"nn.{fn.__name__}", fn, error=error) for fn, error in ACTIVATIONS),
    function(
        "nn.gelu",
        on(lambda x: (nn.gelu(x), nn.gelu(x, approximate=False)), reals(3, 4)),
        on(nn.gelu, reals()),
        error=1e-4,
    ),
    function("nn.glu", on(nn.glu, reals(3, 4)), error=1e-3),
    function(
        "nn.softmax",
        on(lambda x: (nn.softmax(x), nn.softmax(x, axis=0)), reals(3, 4)),
        on(lambda x, m: nn.softmax(x, where=m), reals(3, 4), np.array([[True, True, False, True]] * 3)),
        error=1e-4,
    ),
    function("nn.log_softmax", on(lambda x: (nn.log_softmax(x), nn.log_softmax(x, axis=0)), reals(3, 4)), error=1e-4),
    function("nn.logsumexp", on(lambda x: nn.logsumexp(x, axis=-1), reals(3, 4)), error=1e-4),
    function("nn.standardize", on(lambda x: nn.standardize(x), reals(3, 4)), error=1e-3),
    function(
        "nn.dot_product_attention",
        on(nn.dot_product_attention, reals(1, 3, 2, 4), reals(1, 3, 2, 4), reals(1, 3, 2, 4)),
        error=1e-3,
    ),
    function("layer norm", on(layer_norm, reals(3, 4), reals(4), reals(4)), error=1e-3),
    function("batch norm", on(batch_norm, reals(6, 4), reals(4), reals(4)), error=1e-3),
    function(
        "lax.conv_general_dilated",
        on(conv(), SIGNAL, reals(4, 3, 3)),
        on(conv(strides=(2,), padding="SAME"), SIGNAL, reals(4, 3, 3)),
        on(conv(), IMAGE, KERNEL),
        on(conv("SAME", strides=(2, 1)), IMAGE, KERNEL),
        on(conv(((1, 0), (2, 1)), rhs_dilation=(2, 1)), IMAGE, KERNEL),
        on(conv(((1, 1), (0, 1)), lhs_dilation=(2, 2)), IMAGE, KERNEL),
        on(conv(feature_group_count=3), IMAGE, reals(6, 1, 2, 2)),
        on(conv(dimension_numbers=("NHWC", "HWIO", "NHWC")), reals(2, 5, 4, 3), reals(2, 2, 3, 2)),
        error=FEW,
    ),
    function(
        "lax.conv_transpose",
        on(lambda x, w: lax.conv_transpose(x, w, (2, 2), "SAME"), reals(1, 3, 3, 2), reals(2, 2, 2, 3)),
        error=FEW,
    ),
    function(
        "gradient of a convolution",
        on(
            jax.grad(lambda x, w: (conv("SAME", strides=(2, 1))(x, w) ** 2).sum(), (0, 1)),
            reals(1, 2, 4, 4),
            reals(2, 2, 2, 2),
        ),
        error=1e-4,
    ),
    function("lax.reduce_window, max", on(lambda x: (max_pool(x), max_pool(x, "SAME")), reals(1, 2, 5, 4))),
    function("lax.reduce_window, sum", on(lambda x: (avg_pool(x), avg_pool(x, "SAME")), reals(1, 2, 5, 4)), error=FEW),
    function("gradient of max pooling", on(jax.grad(lambda x: (max_pool(x) ** 2).sum()), reals(1, 2, 5, 4)), error=FEW),
    function(
        "gradient of average pooling", on(jax.grad(lambda x: (avg_pool(x) ** 2).sum()), reals(1, 2, 5, 4)), error=FEW
    ),
]


def loss(w: Any, x: Any, y: Any) -> Any:
    return jnp.mean((jnp.tanh(x @ w) - y) ** 2)


@jax.custom_jvp
def doubled(x: Any) -> Any:
    return x * x


@doubled.defjvp
def _doubled_jvp(primals: Any, tangents: Any) -> Any:
    return doubled(*primals), 3 * primals[0] * tangents[0]


@jax.custom_vjp
def tripled(x: Any) -> Any:
    return x * x


tripled.defvjp(lambda x: (x * x, x), lambda x, g: (5 * x * g,))

WEIGHTS = (reals(3, low=-1, high=1), reals(5, 3, low=-1, high=1), reals(5, low=-1, high=1))

TRANSFORMATIONS = [
    function("jax.jit", on(jax.jit(loss), *WEIGHTS), error=1e-3),
    function("jax.grad", on(jax.grad(loss), *WEIGHTS), error=1e-3),
    function("jax.value_and_grad", on(jax.value_and_grad(loss, (0, 1)), *WEIGHTS), error=1e-3),
    function("jax.jvp", on(lambda x, v: jax.jvp(jnp.sin, (x,), (v,)), reals(3), reals(3)), error=FEW),
    function("jax.vjp", on(lambda x, v: jax.vjp(jnp.sin, x)[1](v), reals(3), reals(3)), error=FEW),
    function("jax.linearize", on(lambda x, v: jax.linearize(jnp.sin, x)[1](v), reals(3), reals(3)), error=FEW),
    function(
        "jax.vmap",
        on(
            jax.vmap(jax.grad(loss), (None, 0, 0)),
            reals(3, low=-1, high=1),
            reals(2, 5, 3, low=-1, high=1),
            reals(2, 5),
        ),
        on(jax.vmap(jnp.dot, (0, -1)), reals(2, 3), reals(3, 2)),
        error=1e-3,
    ),
    function("jax.hessian", on(jax.hessian(loss), *WEIGHTS), error=1e-3),
    function(
        "jax.jacfwd, jax.jacrev", on(lambda x: (jax.jacfwd(jnp.sin)(x), jax.jacrev(jnp.sin)(x)), reals(3)), error=FEW
    ),
    function("jax.checkpoint", on(jax.grad(jax.checkpoint(loss)), *WEIGHTS), error=1e-3),
    function(
        "jax.custom_jvp", on(lambda x: (doubled(x), jax.grad(lambda v: doubled(v).sum())(x)), reals(3)), error=FEW
    ),
    function(
        "jax.custom_vjp", on(lambda x: (tripled(x), jax.grad(lambda v: tripled(v).sum())(x)), reals(3)), error=FEW
    ),
    function("lax.stop_gradient", on(jax.grad(lambda x: (x * lax.stop_gradient(x)).sum()), reals(3))),
    function(
        "lax.scan",
        on(lambda x: lax.scan(lambda c, r: (c * 0.5 + r, (c * r).sum()), jnp.zeros(3), x), reals(4, 3)),
        on(lambda x: lax.scan(lambda c, r: (c + r, c), 0, x, reverse=True), ints(5)),
        error=1e-4,
    ),
    function(
        "gradient of lax.scan",
        on(jax.grad(lambda x: lax.scan(lambda c, r: (c * r, None), jnp.ones(2), x)[0].sum()), reals(4, 2)),
        error=1e-3,
    ),
    function(
        "lax.while_loop",
        on(lambda x: lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] * 0.5 + 1), (0, x))[1], reals(3)),
        error=FEW,
        note="a public condition",
    ),
    function(
        "lax.fori_loop",
        on(lambda x: lax.fori_loop(0, 4, lambda i, v: v * 0.5 + i, x), reals(3)),
        on(lambda x, n: lax.fori_loop(0, n, lambda i, v: v + i, x), ints(3), ints(low=3, high=4, public=True)),
        error=FEW,
        note="public bounds",
    ),
    function(
        "lax.cond",
        on(lambda x: lax.cond(x.sum() > 0, lambda v: v * 2, lambda v: v - 1, x), reals(3)),
        on(lambda p, x: lax.cond(p, lambda v: v * 2, lambda v: v - 1, x), bits(), ints(3)),
        note="on a secret both branches are computed",
    ),
    function(
        "lax.switch",
        on(lambda i, x: lax.switch(i, [lambda v: v, lambda v: -v, lambda v: v + 1], x), ints(low=0, high=3), reals(3)),
        on(lambda i, x: lax.switch(i, [lambda v: v, lambda v: -v], x), ints(low=0, high=2, public=True), ints(3)),
    ),
    function(
        "lax.associative_scan",
        on(lambda x: lax.associative_scan(jnp.add, x), reals(5, 2)),
        on(lambda x: lax.associative_scan(jnp.maximum, x, reverse=True), ints(6)),
    ),
    function("lax.map", on(lambda x: lax.map(lambda r: jnp.sum(r**2), x), reals(4, 3)), error=FEW),
    function("lax.reduce", on(lambda x: lax.reduce(x, 0, lax.add, (0,)), ints(3, 4))),
    function("jnp.vectorize", on(jnp.vectorize(lambda x, y: x + 2 * y), reals(3, 1), reals(4))),
]

SPECTRA = [
    function(
        "jnp.fft.rfft, irfft",
        on(lambda x: (jnp.fft.rfft(x).real, jnp.fft.rfft(x, 12, axis=0).imag), reals(7, 3)),
        on(lambda x: jnp.fft.irfft(jnp.fft.rfft(x)), reals(16)),
        error=1e-3,
    ),
    function(
        "jnp.fft.fft, ifft, fft2",
        on(lambda x: jnp.fft.ifft(jnp.fft.fft(x) * jnp.exp(0.5j)).imag, reals(10)),
        on(lambda x: jnp.abs(jnp.fft.fft2(x)) ** 2, reals(4, 3)),
        error=1e-2,
    ),
    function(
        "complex numbers",
        on(lambda x, y: (jnp.abs(x + 1j * y), jnp.angle(x + 1j * y)), reals(5, low=1), reals(5)),
        on(lambda x, y: ((x + 1j * y) * (y - 2j) / (x + 4 + 1j)).real, reals(5, low=0), reals(5)),
        on(lambda x, y: jnp.conj((x + 1j * y.T) @ (y + 1j * x.T)).imag, reals(2, 3), reals(3, 2)),
        error=2e-3,
        note="inside of a function; no inputs or results",
    ),
]

SECTIONS = {
    "Arithmetic": ARITHMETIC,
    "Elementary and special functions": ELEMENTARY,
    "Comparison, logic, choice": LOGIC,
    "Integers": EXACT_INTEGERS,
    "Reductions and running reductions": REDUCTIONS,
    "Sorting, counting, sets": SORTING,
    "Shapes": SHAPING,
    "Indices": INDEXING,
    "Linear algebra": LINEAR_ALGEBRA,
    "Spectra and complex numbers": SPECTRA,
    "Networks": NETWORKS,
    "Transformations and control": TRANSFORMATIONS,
}
FUNCTIONS = [function for functions in SECTIONS.values() for function in functions]

MISSING = [
    Missing("a complex result", lambda x: x + 1j, (reals(3),), "real"),
    Missing("jnp.nextafter", lambda x: jnp.nextafter(x, 9.0), (reals(3),), "nextafter"),
    Missing("x.view", lambda x: x.view(jnp.int64), (reals(3),), "bitcast"),
    Missing("jnp.linalg.eig", jnp.linalg.eig, (reals(3, 3),), "eig"),
    Missing("special.polygamma", lambda x: special.polygamma(1, x), (reals(3, low=1),), "polygamma"),
    Missing("x[mask] without size", lambda x: x[x > 0], (reals(3),), "jnp.where"),
    Missing("jnp.unique without size", lambda x: jnp.unique(x), (ints(3),), "size="),
    Missing("jnp.nonzero without size", lambda x: jnp.nonzero(x), (ints(3),), "size="),
    Missing("jnp.nan where a secret chooses", lambda x: jnp.where(x > 0, x, jnp.nan), (reals(3),), "NaN"),
    Missing("jnp.var, where=", lambda x, m: jnp.var(x, where=m), (reals(3), bits(3)), "NaN"),
    Missing("if, and, or on values", lambda x: x if x > 0 else -x, (reals(),), "jnp.where"),
    Missing(
        "lax.while_loop on a secret",
        lambda x: lax.while_loop(lambda v: v > 0, lambda v: v - 1, x),
        (ints(),),
        "fori_loop",
    ),
    Missing(
        "jax.random with a secret key", lambda n: jax.random.normal(jax.random.key(n), (3,)), (ints(),), "random key"
    ),
    Missing("jax.debug.print", lambda x: (jax.debug.print("{}", x), x)[1], (reals(3),), "argot.reveal"),
    Missing("jax.pure_callback", lambda x: jax.pure_callback(np.sin, x, x), (reals(3),), "argot.reveal"),
    Missing("x.at[i].apply", lambda x: x.at[1].apply(jnp.sin), (reals(3),), "at[i].set"),
    Missing(
        "x.at[i].set of more than 64 at secret places",
        lambda x, i, y: x.at[i].set(y),
        (reals(9), ints(65, low=0), reals(65)),
        "at most 64",
    ),
    Missing("linalg.svd with full matrices", jnp.linalg.svd, (reals(4, 3),), "full_matrices=False"),
]

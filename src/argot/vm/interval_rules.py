"""The interval of an operation's result: one rule an operation, from its operands' intervals and types.

Intervals are of numbers as they are computed, with 8 fraction bits or more: real limits and constants are rounded
outwards (`encoded`), every inexact operation widens by `SLACK`, or relatively (`roughly`), and functions that are steep
are evaluated `GRID` beyond their operands.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .interval import BIT, GRID, SLACK, UNKNOWN, ZERO, Interval, joined, of_array
from .interval_patterns import Known, absolute, chosen, is_own_product, refined
from .ir import INTEGERS, NUMPY, PUBLIC, Equation, TensorType, Var

LARGEST = 2.0**14 - 2.0**-8
"""The largest number of the smallest ring, of 32 bits with 8 of fraction."""

LOG_OF_NOTHING = -34.0
"""Of shared x <= 0: log of the smallest positive number, 2^-48 at most."""


def result(eqn: Equation, operands: list[Interval], types: list[TensorType], known: Known) -> Interval:
    """The interval of an equation without blocks."""
    out = eqn.outputs[0]
    if eqn.op == "select":
        found = chosen(eqn, known)
    else:
        rule = _RULES.get(eqn.op)
        if eqn.op in FACTORS:
            operands = [known.factors.get(i, x) for i, x in zip(eqn.inputs, operands, strict=True)]
        found = UNKNOWN if rule is None else rule(operands, types, eqn)
        if eqn.op == "mul" and is_own_product(eqn.inputs[0], eqn.inputs[1], known):
            found = found.meet(_square(operands, types, eqn))
        found = tidy(found, out).meet(refined(eqn, known))
    return of_type(out).meet(tidy(found, out))


FACTORS = ("mul", "matmul", "convolve", "div")
"""Of these, public operands are not rounded to the grid, nor cut off at the largest number."""


def of_type(v: Var) -> Interval:
    """What the type alone says. Shared integers may have left their dtype's range: they wrap at the ring's width."""
    if v.type.dtype == "bool":
        return BIT
    if v.type.dtype in INTEGERS and v.visibility == PUBLIC:
        info = np.iinfo(NUMPY[v.type.dtype])
        return Interval(float(info.min), float(info.max))
    return UNKNOWN


def tidy(x: Interval, out: Var) -> Interval:
    """Unknown instead of NaN, and for public integers that may have wrapped."""
    return UNKNOWN if math.isnan(x.low) or math.isnan(x.high) or wraps(x, out) else x


def wraps(x: Interval, out: Var) -> bool:
    """Whether a public integer, computed without end in this interval, may have left its dtype."""
    return out.type.dtype in INTEGERS and out.visibility == PUBLIC and not of_type(out).contains(x)


Rule = Callable[[list[Interval], list[TensorType], Equation], Interval]


# ---- sums and products ----------------------------------------------------------------------------------------------


def _inexact(types: list[TensorType]) -> float:
    """What a product may be off by: truncations of reals."""
    return SLACK if types[0].dtype == "fixed" else 0.0


def _mul(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return (x[0] * x[1]).widen(_inexact(t))


def _square(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    size = absolute(x[0])
    return Interval(size.low * size.low, size.high * size.high).widen(_inexact(t))


def _matmul(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return (x[0] * x[1]).times(t[0].shape[-1]).widen()


def _convolve(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return (x[0] * x[1]).times(math.prod(t[1].shape[1:])).widen()


def _reduce_sum(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return x[0].times(t[0].size // max(eqn.outputs[0].type.size, 1))


def _cumsum(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return x[0].times(t[0].shape[eqn.attrs["axis"]]).join(x[0])


def _put_add(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return x[0] + x[2].join(ZERO).times(t[2].size)


def _product_of(x: Interval, n: int, fixed: bool) -> Interval:
    """Of n factors. Errors of a tree of products grow with n while factors are below 1, else with the product."""
    m = x.magnitude
    error = SLACK if fixed else 0.0
    try:
        size = 1.0 + n * error if m <= 1 else (m + error) ** n
    except OverflowError:
        return UNKNOWN
    return Interval(-n * error if x.low >= 0 else -size, size)


def _reduce_prod(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _product_of(x[0], t[0].size // max(eqn.outputs[0].type.size, 1), t[0].dtype == "fixed")


def _cumprod(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _product_of(x[0], t[0].shape[eqn.attrs["axis"]], t[0].dtype == "fixed").join(x[0])


# ---- quotients ------------------------------------------------------------------------------------------------------


def _inverse(y: Interval) -> Interval:
    """1 / y; unknown where y may be 0, whose inverse depends on the fraction bits."""
    if y.low >= 2 * GRID:
        return Interval(1 / (y.high + GRID), 1 / (y.low - GRID))
    return -_inverse(-y) if y.high <= -2 * GRID else UNKNOWN


def _division(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return (x[0] * _inverse(x[1])).roughly()


def _reciprocal(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _inverse(x[0]).roughly()


def _rsqrt(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    if x[0].low < 2 * GRID:
        return UNKNOWN
    return Interval(1 / math.sqrt(x[0].high + GRID), 1 / math.sqrt(x[0].low - GRID)).roughly()


def _integer_division(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    m = max(x[0].magnitude, 1.0)  # x / 0 is -1
    return Interval(-m, m)


# ---- functions ------------------------------------------------------------------------------------------------------


def _monotone(function: Callable[[float], float]) -> Rule:
    def rule(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
        return Interval(function(x[0].low - GRID), function(x[0].high + GRID)).roughly()

    return rule


def _exp(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    low, high = (math.exp(v) if v < 700 else math.inf for v in (x[0].low - GRID, x[0].high + GRID))
    return _cut_off(Interval(low, high).roughly())


def _cut_off(x: Interval) -> Interval:
    """Of numbers that become the largest one of the ring where they are beyond it, which is LARGEST or more."""
    return Interval(min(x.low, LARGEST), max(x.high, -LARGEST))


def _sqrt(v: float) -> float:
    return math.sqrt(max(v, 0.0))


def _sigmoid(v: float) -> float:
    return 0.5 + 0.5 * math.tanh(v / 2)


def _log(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    """What is not positive counts as the smallest positive number."""
    nothing = -math.inf if eqn.outputs[0].visibility == PUBLIC else LOG_OF_NOTHING
    low = math.log(x[0].low - GRID) if x[0].low >= 2 * GRID else nothing
    return Interval(low, math.log(max(x[0].high, 0.0) + 2 * GRID)).roughly()


def _floored(v: float) -> float:
    return float(math.floor(v)) if math.isfinite(v) else v


def _floor(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(_floored(x[0].low - GRID), _floored(x[0].high + GRID))


def _round(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    """Halves go up on shares, to the even number in the clear."""
    return Interval(-_floored(0.5 + GRID - x[0].low), _floored(x[0].high + 0.5 + GRID))


def _truncated(v: float) -> float:
    return float(math.trunc(v)) if math.isfinite(v) else v


def _convert(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    """Reals become integers towards zero."""
    if eqn.attrs["dtype"] == "bool":
        return BIT
    if t[0].dtype != "fixed" or eqn.attrs["dtype"] == "fixed":
        return x[0]
    return Interval(_truncated(x[0].low - GRID), _truncated(x[0].high + GRID))


# ---- values that are made -------------------------------------------------------------------------------------------


def _random(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, 1.0 if eqn.attrs["dtype"] == "fixed" else 2.0 ** eqn.attrs["bits"] - 1)


def _iota(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, float(max(eqn.attrs["shape"][eqn.attrs["axis"]] - 1, 0)))


def _const(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    dtype, found = eqn.outputs[0].type.dtype, of_array(eqn.attrs["value"])
    return _cut_off(found.encoded()) if dtype == "fixed" else found


def _within(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    promised = Interval(eqn.attrs["low"], eqn.attrs["high"])
    return x[0].meet(promised.encoded() if t[0].dtype == "fixed" else promised)


def _index(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, float(max(t[0].shape[-1] - 1, 0)))  # an order has its axis at the end


def _argument(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, float(t[0].shape[eqn.attrs["axis"]] - 1))


def _bit(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return BIT if eqn.outputs[0].type.dtype == "bool" else UNKNOWN


def _bit_and(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    """Up to a mask without a sign; else what the dtype holds, as the result has wrapped to it."""
    info = np.iinfo(NUMPY[t[0].dtype])
    masks = [m.high for m in x if m.low >= 0 and m.high <= info.max]
    return Interval(0.0, min(masks)) if masks else Interval(float(info.min), float(info.max))


def _count_of_bits(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, float(8 * t[0].numpy.itemsize))


# ---- values that are moved ------------------------------------------------------------------------------------------


def _same(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return x[0]


def _with_zero(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return x[0].join(ZERO)


MOVES = ("reshape", "transpose", "broadcast", "slice", "reverse", "dynamic_slice", "share", "take_order", "put_order")
EXTREMES = ("reduce_max", "reduce_min", "cummax", "cummin")

_RULES: dict[str, Rule] = {
    "add": lambda x, t, eqn: x[0] + x[1],
    "sub": lambda x, t, eqn: x[0] - x[1],
    "neg": lambda x, t, eqn: -x[0],
    "mul": _mul,
    "square": _square,
    "matmul": _matmul,
    "convolve": _convolve,
    "reduce_sum": _reduce_sum,
    "reduce_prod": _reduce_prod,
    "cumsum": _cumsum,
    "cumprod": _cumprod,
    "put_add": _put_add,
    "div": _division,
    "reciprocal": _reciprocal,
    "rsqrt": _rsqrt,
    "int_div": _integer_division,
    "rem": _with_zero,
    "exp": _exp,
    "log": _log,
    "sqrt": _monotone(_sqrt),
    "sigmoid": _monotone(_sigmoid),
    "tanh": _monotone(math.tanh),
    "erf": _monotone(math.erf),
    **{name: lambda x, t, eqn: Interval(-1.0, 1.0).widen() for name in ("sin", "cos")},
    "floor": _floor,
    "round": _round,
    "convert": _convert,
    "const": _const,
    "iota": _iota,
    "random": _random,
    "within": _within,
    "argmax": _argument,
    "argmin": _argument,
    "index_of": _index,
    **{name: _bit for name in ("lt", "eq", "not", "and", "or", "xor", "reduce_and", "reduce_or")},
    "bit_and": _bit_and,
    **{name: _count_of_bits for name in ("population_count", "clz")},
    "concat": lambda x, t, eqn: joined(x),
    "pad": _with_zero,
    "take": _with_zero,
    **{name: lambda x, t, eqn: x[0].join(x[2]) for name in ("put", "put_max", "put_min")},
    "dynamic_update": lambda x, t, eqn: x[0].join(x[1]),
    **{name: _same for name in (*MOVES, *EXTREMES)},
}

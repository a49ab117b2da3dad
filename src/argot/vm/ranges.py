"""Provable intervals of values, and the bounds that follow for comparisons and approximations.

Intervals come from constants, `within`, booleans, small integers, comparisons, sigmoid and tanh, `x - max(x)`, and
arithmetic on those. A loop's carries keep the interval of their start only if a round stays inside. Every inexact
operation widens by `SLACK`, which is far above the errors of truncation and of the approximations.

`annotate` writes what is proved into a program (attribute `bound`: |v| < 2^bound for the value compared or
approximated); `verify` refuses promises that are narrower than what follows from the program itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ProgramError
from .ir import INTEGERS, NUMPY, PUBLIC, Block, Equation, Program, TensorType, Var

SLACK = 2.0**-6
MAX_BOUND = 64  # wider bounds say nothing in any ring


@dataclass(frozen=True, slots=True)
class Interval:
    """low <= x <= high."""

    low: float
    high: float

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))

    def widen(self, by: float = SLACK) -> Interval:
        return Interval(self.low - by, self.high + by)

    def roughly(self) -> Interval:
        """Widened for an approximation with relative error."""
        return Interval(self.low - abs(self.low) * 2.0**-10, self.high + abs(self.high) * 2.0**-10).widen()

    def join(self, other: Interval) -> Interval:
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def contains(self, other: Interval) -> bool:
        return self.low <= other.low and other.high <= self.high


UNKNOWN = Interval(-math.inf, math.inf)
BIT = Interval(0.0, 1.0)


def annotate(program: Program) -> Program:
    """The program with every `bound` that can be proved."""
    return Program(program.name, program.inputs, _Walk(write=True).block(program.body, None)[0])


def verify(program: Program) -> None:
    """ProgramError where a `bound` is narrower than the program proves."""
    _Walk(write=False).block(program.body, None)


def bound_of(x: Interval) -> int | None:
    """The smallest b with |v| < 2^b for every v in the interval, or None."""
    m = x.magnitude
    if not m < 2.0**MAX_BOUND:
        return None
    return max(math.frexp(m)[1], -8)


def result(
    eqn: Equation, operands: list[Interval], types: list[TensorType], source: Callable[[int], Equation | None]
) -> Interval:
    """The interval of an equation without blocks; `source` tells which equation made a value."""
    rule = _RULES.get(eqn.op)
    found = UNKNOWN if rule is None else rule(operands, types, eqn)
    if eqn.op == "sub" and _is_own_maximum(eqn, source):
        found = Interval(found.low, min(found.high, SLACK))
    return _meet(_tidy(found, eqn.outputs[0]), of_type(eqn.outputs[0]))


def _is_narrower(name: str, given: Any, known: Any) -> bool:
    """Whether an attribute promises more than is known; a tuple has one promise for each operand."""
    if isinstance(known, tuple):
        return len(given) != len(known) or any(g < k for g, k in zip(given, known, strict=True))
    return bool(given > known if name == "low" else given < known)


class _Walk:
    def __init__(self, write: bool) -> None:
        self.write = write

    def block(self, block: Block, given: Sequence[Interval] | None) -> tuple[Block, list[Interval]]:
        """The block, annotated, and the intervals of its results."""
        known = {p.id: of_type(p) for p in block.params}
        if given is not None:
            known.update({p.id: _meet(g, known[p.id]) for p, g in zip(block.params, given, strict=True)})
        source: dict[int, Equation] = {}
        types = block.vars()
        equations = []
        for eqn in block.equations:
            operands = [known[i] for i in eqn.inputs]
            eqn, found = self.equation(eqn, operands, [types[i].type for i in eqn.inputs], source)
            equations.append(eqn)
            for out, interval in zip(eqn.outputs, found, strict=True):
                known[out.id] = _meet(_tidy(interval, out), of_type(out))
                source[out.id] = eqn
        return Block(block.params, tuple(equations), block.results), [known[i] for i in block.results]

    def equation(
        self, eqn: Equation, operands: list[Interval], types: list[TensorType], source: dict[int, Equation]
    ) -> tuple[Equation, list[Interval]]:
        if eqn.op == "loop":
            return self.loop(eqn, operands)
        if eqn.op in ("while", "cond"):
            return self.branches(eqn, operands)
        if eqn.op in _PROVED:
            eqn = self.promises(eqn, operands)
        return eqn, [result(eqn, operands, types, source.get)]

    def promises(self, eqn: Equation, operands: list[Interval]) -> Equation:
        proved = _PROVED[eqn.op](operands)
        if self.write:
            return replace(eqn, attrs={**eqn.attrs, **proved})
        for name, known in proved.items():
            given = eqn.attrs[name]
            if given is not None and (known is None or _is_narrower(name, given, known)):
                raise ProgramError(f"{name} {given} of {eqn.op}", wanted=f"{known}, which is proved", where=eqn.where)
        return eqn

    def loop(self, eqn: Equation, operands: list[Interval]) -> tuple[Equation, list[Interval]]:
        consts, carries = eqn.attrs["consts"], eqn.attrs["carries"]
        start = operands[consts : consts + carries]
        rows = operands[consts + carries :]
        for _ in range(3):
            body, found = self.block(eqn.blocks[0], [*operands[:consts], *start, *rows])
            if all(a.contains(b) for a, b in zip(start, found[:carries], strict=True)):
                return replace(eqn, blocks=(body,)), [*start, *found[carries:]]
            start = [a if a.contains(b) else UNKNOWN for a, b in zip(start, found[:carries], strict=True)]
        start = [UNKNOWN] * carries
        body, found = self.block(eqn.blocks[0], [*operands[:consts], *start, *rows])
        return replace(eqn, blocks=(body,)), [*start, *found[carries:]]

    def branches(self, eqn: Equation, operands: list[Interval]) -> tuple[Equation, list[Interval]]:
        if eqn.op == "while":
            done = [self.block(b, None) for b in eqn.blocks]
            return replace(eqn, blocks=tuple(b for b, _ in done)), [UNKNOWN] * len(eqn.outputs)
        done = [self.block(b, operands[1:]) for b in eqn.blocks]
        joined = [_joined([found[i] for _, found in done]) for i in range(len(eqn.outputs))]
        return replace(eqn, blocks=tuple(b for b, _ in done)), joined


def of_array(value: np.ndarray[Any, Any]) -> Interval:
    """The interval of a constant; nothing is known of NaN."""
    if not value.size:
        return Interval(0.0, 0.0)
    low, high = float(np.min(value)), float(np.max(value))
    return Interval(low, high) if low <= high else UNKNOWN


def of_type(v: Var) -> Interval:
    """What the type alone says. Shared integers may have left their dtype's range: they wrap at the ring's width."""
    if v.type.dtype == "bool":
        return BIT
    if v.type.dtype in INTEGERS and v.visibility == PUBLIC:
        info = np.iinfo(NUMPY[v.type.dtype])
        return Interval(float(info.min), float(info.max))
    return UNKNOWN


def _meet(x: Interval, y: Interval) -> Interval:
    low, high = max(x.low, y.low), min(x.high, y.high)
    return Interval(low, high) if low <= high else y


def _tidy(x: Interval, out: Var) -> Interval:
    """Unknown instead of NaN, and for public integers that may have wrapped."""
    if math.isnan(x.low) or math.isnan(x.high):
        return UNKNOWN
    if out.type.dtype in INTEGERS and out.visibility == PUBLIC and not of_type(out).contains(x):
        return UNKNOWN
    return x


def _joined(parts: Sequence[Interval]) -> Interval:
    found = parts[0]
    for part in parts[1:]:
        found = found.join(part)
    return found


def _limit(x: float) -> float | None:
    return x if abs(x) < 2.0**MAX_BOUND else None


def _difference(x: list[Interval]) -> dict[str, Any]:
    return {"bound": bound_of(_sub(x))}


def _spread(x: list[Interval]) -> dict[str, Any]:
    return {"bound": bound_of(Interval(x[0].low - x[0].high, x[0].high - x[0].low))}


def _meeting(x: list[Interval]) -> dict[str, Any]:
    """Of elements and updates, any two of which may be compared."""
    return _spread([x[0].join(x[2])])


def _each(x: list[Interval]) -> dict[str, Any]:
    """Of words that use all their bits: what is below a power of two may be rounded to it when it is encoded."""
    bounds = [bound_of(one.widen()) for one in x]
    return {"bound": tuple(MAX_BOUND if bound is None else bound for bound in bounds)}


def _argument_of(x: list[Interval]) -> dict[str, Any]:
    return {"bound": bound_of(x[0])}


def _exponent(x: list[Interval]) -> dict[str, Any]:
    return {"bound": bound_of(x[0]), "low": _limit(x[0].low), "high": _limit(x[0].high)}


def _fraction(x: list[Interval]) -> dict[str, Any]:
    return {"bound": bound_of(x[1]), "bound_x": bound_of(x[0])}


# What is proved of the operands of an operation: values for its attributes.
_PROVED: dict[str, Callable[[list[Interval]], dict[str, Any]]] = {
    "lt": _difference,
    "eq": _difference,
    "exp": _exponent,
    **{name: _fraction for name in ("div", "int_div", "rem")},
    **{name: _spread for name in ("reduce_max", "reduce_min", "argmax", "argmin", "cummax", "cummin")},
    "order": _each,
    **{name: _meeting for name in ("put_max", "put_min")},
    **{name: _argument_of for name in ("log", "sigmoid", "tanh", "erf", "sin", "cos", "sqrt", "rsqrt", "reciprocal")},
}


def _is_own_maximum(eqn: Equation, source: Callable[[int], Equation | None]) -> bool:
    """Whether x - y is x minus a broadcast maximum of x."""
    x, y = eqn.inputs
    made = source(y)
    for _ in range(8):
        if made is None or made.op not in ("broadcast", "reshape"):
            break
        made = source(made.inputs[0])
    return made is not None and made.op == "reduce_max" and made.inputs[0] == x


# ---- one rule an operation: (operands, their types, equation) -> interval -------------------------------------------

Rule = Callable[[list[Interval], list[TensorType], Equation], Interval]


def _add(x: list[Interval]) -> Interval:
    return Interval(x[0].low + x[1].low, x[0].high + x[1].high)


def _sub(x: list[Interval]) -> Interval:
    return Interval(x[0].low - x[1].high, x[0].high - x[1].low)


def _product(x: Interval, y: Interval) -> Interval:
    if UNKNOWN in (x, y):
        return UNKNOWN
    corners = [a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    if any(map(math.isnan, corners)):
        return UNKNOWN
    return Interval(min(corners), max(corners))


def _mul(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _product(x[0], x[1]).widen(SLACK if t[0].dtype == "fixed" else 0)


def _square(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    a, b = x[0].low * x[0].low, x[0].high * x[0].high
    low = 0.0 if x[0].low <= 0 <= x[0].high else min(a, b)
    return Interval(low, max(a, b)).widen(SLACK if t[0].dtype == "fixed" else 0)


def _matmul(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    one = _product(x[0], x[1])
    return _times(one, t[0].shape[-1]).widen()


def scaled(x: Interval, factor: float) -> Interval:
    """The interval of x * factor."""
    return _product(x, Interval(factor, factor)).widen()


def _times(x: Interval, n: int) -> Interval:
    return Interval(x.low * n, x.high * n) if n else Interval(0.0, 0.0)


def _reduce_sum(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _times(x[0], t[0].size // max(eqn.outputs[0].type.size, 1))


def _cumsum(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _times(x[0], t[0].shape[eqn.attrs["axis"]]).join(x[0])


def _const(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return of_array(eqn.attrs["value"])


def _random(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, 1.0 if eqn.attrs["dtype"] == "fixed" else 2.0 ** eqn.attrs["bits"] - 1)


def _iota(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, float(max(eqn.attrs["shape"][eqn.attrs["axis"]] - 1, 0)))


def _within(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _meet(Interval(eqn.attrs["low"], eqn.attrs["high"]), x[0])


def _monotone(function: Callable[[float], float]) -> Rule:
    def rule(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
        return Interval(function(x[0].low), function(x[0].high)).roughly()

    return rule


def _exp(v: float) -> float:
    return math.exp(v) if v < 700 else math.inf


def _same(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return x[0]


def _with_zero(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return x[0].join(Interval(0.0, 0.0))


def _all(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return _joined(x)


def _index(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, float(max(t[0].shape[-1] - 1, 0)))  # an order has its axis at the end


def _argument(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return Interval(0.0, float(t[0].shape[eqn.attrs["axis"]] - 1))


def _bit(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    return BIT if eqn.outputs[0].type.dtype == "bool" else UNKNOWN


def _division(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    y = x[1]
    if y.low > SLACK or y.high < -SLACK:
        return _product(x[0], Interval(1 / y.high, 1 / y.low)).roughly()
    return UNKNOWN


def _integer_division(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    m = max(x[0].magnitude, 1.0)  # x / 0 is -1
    return Interval(-m, m)


def _bit_and(x: list[Interval], t: list[TensorType], eqn: Equation) -> Interval:
    """Up to a mask without a sign; else what the dtype holds, as the result has wrapped to it."""
    info = np.iinfo(NUMPY[t[0].dtype])
    masks = [m.high for m in x if m.low >= 0 and m.high <= info.max]
    return Interval(0.0, min(masks)) if masks else Interval(float(info.min), float(info.max))


_RULES: dict[str, Rule] = {
    "add": lambda x, t, eqn: _add(x),
    "sub": lambda x, t, eqn: _sub(x),
    "neg": lambda x, t, eqn: Interval(-x[0].high, -x[0].low),
    "mul": _mul,
    "square": _square,
    "div": _division,
    "int_div": _integer_division,
    "rem": _with_zero,
    "bit_and": _bit_and,
    "matmul": _matmul,
    "reduce_sum": _reduce_sum,
    "cumsum": _cumsum,
    "const": _const,
    "iota": _iota,
    "random": _random,
    "within": _within,
    "exp": _monotone(_exp),
    "sigmoid": lambda x, t, eqn: BIT.widen(),
    **{name: lambda x, t, eqn: Interval(-1.0, 1.0).widen() for name in ("tanh", "erf", "sin", "cos")},
    "floor": lambda x, t, eqn: x[0].widen(1.0),
    "round": lambda x, t, eqn: x[0].widen(1.0),
    "select": lambda x, t, eqn: x[1].join(x[2]),
    "concat": _all,
    "pad": _with_zero,
    "take": _with_zero,
    **{name: lambda x, t, eqn: x[0].join(x[2]) for name in ("put", "put_max", "put_min")},
    "dynamic_update": lambda x, t, eqn: x[0].join(x[1]),
    "argmax": _argument,
    "index_of": _index,
    "take_order": _same,
    "put_order": _same,
    "argmin": _argument,
    **{name: _bit for name in ("lt", "eq", "not", "and", "or", "xor", "reduce_and", "reduce_or")},
    **{
        name: _same
        for name in (
            "reshape",
            "transpose",
            "broadcast",
            "slice",
            "reverse",
            "dynamic_slice",
            "convert",
            "share",
            "reduce_max",
            "reduce_min",
            "cummax",
            "cummin",
        )
    },
}

"""What the way in which a value was made says of its interval, beyond its operands' intervals.

Shares have few operations, so programs say max(x, y) as y + max(x - y, 0), and |x| as 2 max(x, 0) - x. Interval
arithmetic takes the two x for different numbers; here they are recognised. All of these hold element by element.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .interval import SLACK, UNKNOWN, ZERO, Interval
from .ir import INTEGERS, PUBLIC, Equation, attr_key

STEPS = 8
"""How far back a pattern looks, so that no program makes this expensive."""


@dataclass(frozen=True, slots=True)
class Known:
    """Values by number: which equation of the same block made one, and its interval; of constants also as factors."""

    source: Callable[[int], Equation | None]
    interval: Callable[[int], Interval]
    factors: Mapping[int, Interval] = field(default_factory=dict)


def refined(eqn: Equation, known: Known) -> Interval:
    """What is known of an equation's result besides its rule."""
    pattern = _PATTERNS.get(eqn.op)
    return UNKNOWN if pattern is None else pattern(eqn, known)


def chosen(eqn: Equation, known: Known) -> Interval:
    """The interval of a `select`: of each operand what the condition implies of it where it is taken."""
    condition, x, y = eqn.inputs
    one = known.interval(x).meet(_implied(x, condition, True, known))
    return one.join(known.interval(y).meet(_implied(y, condition, False, known)))


def own_maximum(x: int, y: int, known: Known) -> Equation | None:
    """The equation of a maximum of x that y repeats."""
    made = _made(y, known)
    for _ in range(STEPS):
        if made is None or made.op not in ("broadcast", "reshape"):
            break
        made = _made(made.inputs[0], known)
    return made if made is not None and made.op == "reduce_max" and _same(made.inputs[0], x, known) else None


def is_own_product(x: int, y: int, known: Known) -> bool:
    """Whether two operands of a product are reshaped from the same value."""
    return _unshaped(x, known) == _unshaped(y, known)


# ---- what a condition implies ---------------------------------------------------------------------------------------


def _implied(v: int, condition: int, truth: bool, known: Known) -> Interval:
    """Of v where the condition is `truth`."""
    made = _made(condition, known)
    if made is not None and made.op == "not":
        made, truth = _made(made.inputs[0], known), not truth
    if made is None or made.op != "lt":
        return UNKNOWN
    p, q = made.inputs
    found = _compared(v, p, q, truth, known)
    if known.interval(q) != ZERO:
        return found
    if _opposite(v, p, known):
        found = Interval(0.0, math.inf) if truth else Interval(-math.inf, 0.0)
    difference = _made(p, known)
    if difference is not None and difference.op == "sub":
        a, b = difference.inputs
        found = found.meet(_compared(v, a, b, truth, known))
    return found


def _compared(v: int, p: int, q: int, truth: bool, known: Known) -> Interval:
    """Of v where p < q, or p >= q."""
    if _same(v, p, known):
        x = known.interval(q)
        return Interval(-math.inf, x.high) if truth else Interval(x.low, math.inf)
    if _same(v, q, known):
        x = known.interval(p)
        return Interval(x.low, math.inf) if truth else Interval(-math.inf, x.high)
    return UNKNOWN


def _opposite(v: int, p: int, known: Known) -> bool:
    """Whether v = -p."""
    for a, b in ((v, p), (p, v)):
        made = _made(a, known)
        if made is not None and made.op == "neg" and _same(made.inputs[0], b, known):
            return True
    one, other = _made(v, known), _made(p, known)
    if one is None or other is None or one.op != "sub" or other.op != "sub":
        return False
    return all(_same(a, b, known) for a, b in zip(one.inputs, reversed(other.inputs), strict=True))


# ---- extremes and magnitudes ----------------------------------------------------------------------------------------


def _rectified(r: int, known: Known) -> int | None:
    """d, if r is max(d, 0)."""
    made = _made(r, known)
    if made is None or made.op != "select" or known.interval(made.inputs[2]) != ZERO:
        return None
    condition, d, _ = made.inputs
    above, below = (_implied(d, condition, truth, known) for truth in (True, False))
    return d if above.low >= 0 and below.high <= 0 else None


def _is_larger(m: int, x: int, known: Known) -> Interval | None:
    """The other one's interval, if m is the larger one of x and another: y + max(x - y, 0), or max(x, 0)."""
    top = _rectified(m, known)
    if top is not None and _same(top, x, known):
        return ZERO
    made = _made(m, known)
    if made is None or made.op != "add":
        return None
    first, second = made.inputs
    for y, r in ((first, second), (second, first)):
        others = _compared_with(y, r, known)
        if others is not None and _same(x, y, known):
            return others[1]
        if others is not None and others[0] is not None and _same(x, others[0], known):
            return known.interval(y)
    return None


def _compared_with(y: int, r: int, known: Known) -> tuple[int | None, Interval] | None:
    """(x, its interval), if r is max(x - y, 0); x is None if it is 0 and not there."""
    d = _rectified(r, known)
    made = None if d is None else _made(d, known)
    if made is not None and made.op == "neg" and _same(made.inputs[0], y, known):
        return None, ZERO
    if made is not None and made.op == "sub" and _same(made.inputs[1], y, known):
        return made.inputs[0], known.interval(made.inputs[0])
    return None


def _add(eqn: Equation, known: Known) -> Interval:
    """y + max(x - y, 0) is the larger one."""
    first, second = eqn.inputs
    for y, r in ((first, second), (second, first)):
        found = _compared_with(y, r, known)
        if found is not None:
            a, b = found[1], known.interval(y)
            return Interval(max(a.low, b.low), max(a.high, b.high))
    return UNKNOWN


def _sub(eqn: Equation, known: Known) -> Interval:
    """x - max(x - y, 0) is the smaller one; 2 max(x, 0) - x is |x|; x less a maximum, or more, is not above 0."""
    x, y = eqn.inputs
    d = _rectified(y, known)
    made = None if d is None else _made(d, known)
    if d is not None and _same(d, x, known):
        return _smaller(known.interval(x), ZERO)
    if made is not None and made.op == "sub" and _same(made.inputs[0], x, known):
        return _smaller(known.interval(x), known.interval(made.inputs[1]))
    twice = _made(x, known)
    if twice is not None and twice.op == "mul" and known.interval(twice.inputs[1]) == Interval(2.0, 2.0):
        top = _rectified(twice.inputs[0], known)
        if top is not None and _same(top, y, known):
            return absolute(known.interval(y)).widen()
    if own_maximum(x, y, known):
        return Interval(-math.inf, SLACK)
    total = _made(y, known)
    if total is not None and total.op == "add":
        first, second = total.inputs
        for m, rest in ((first, second), (second, first)):
            if _is_larger(m, x, known):
                return Interval(-math.inf, -known.interval(rest).low)
    return UNKNOWN


def _smaller(x: Interval, y: Interval) -> Interval:
    return Interval(min(x.low, y.low), min(x.high, y.high))


def absolute(x: Interval) -> Interval:
    """The interval of |x|."""
    if x.low <= 0 <= x.high:
        return Interval(0.0, x.magnitude)
    return Interval(min(abs(x.low), abs(x.high)), x.magnitude)


# ---- sums -----------------------------------------------------------------------------------------------------------


def _reduce_sum(eqn: Equation, known: Known) -> Interval:
    """The sum of exp(x - max(x)) has a term exp(0)."""
    power = _made(eqn.inputs[0], known)
    if power is None or power.op != "exp":
        return UNKNOWN
    made = _made(power.inputs[0], known)
    if made is None or made.op != "sub":
        return UNKNOWN
    x, y = made.inputs
    top = own_maximum(x, y, known)
    if top is None or not set(top.attrs["axes"]) <= set(eqn.attrs["axes"]):
        return UNKNOWN
    return Interval(1.0 - 2 * SLACK, math.inf)


def _matmul(eqn: Equation, known: Known) -> Interval:
    """A row times itself is a sum of squares."""
    x, y = eqn.inputs
    single = eqn.outputs[0].type.shape[-2:] == (1, 1)
    return Interval(-SLACK, math.inf) if single and is_own_product(x, y, known) else UNKNOWN


_PATTERNS: dict[str, Callable[[Equation, Known], Interval]] = {
    "add": _add,
    "sub": _sub,
    "reduce_sum": _reduce_sum,
    "matmul": _matmul,
}


# ---- values ---------------------------------------------------------------------------------------------------------


def _origin(i: int, known: Known) -> int:
    """The value that this one is: sharing and promises do not change it."""
    for _ in range(STEPS):
        made = known.source(i)
        if made is None or made.op not in ("share", "within"):
            break
        i = made.inputs[0]
    return i


def _made(i: int, known: Known) -> Equation | None:
    """What made a value, unless it may have wrapped: then sums and differences say nothing of their operands."""
    made = known.source(_origin(i, known))
    if made is None or made.op not in ("sub", "neg", "mul"):
        return made
    out = made.outputs[0]
    return None if out.visibility == PUBLIC and out.type.dtype in INTEGERS else made


def _same(i: int, j: int, known: Known) -> bool:
    """Whether two values are equal: the same one, or equal constants of one element."""
    i, j = _origin(i, known), _origin(j, known)
    if i == j:
        return True
    a, b = known.source(i), known.source(j)
    if a is None or b is None or a.op != "const" or b.op != "const":
        return False
    x, y = a.attrs["value"], b.attrs["value"]
    return x.size == y.size == 1 and bool(attr_key(x) == attr_key(y))


def _unshaped(i: int, known: Known) -> int:
    for _ in range(STEPS):
        made = _made(i, known)
        if made is None or made.op != "reshape":
            break
        i = made.inputs[0]
    return _origin(i, known)

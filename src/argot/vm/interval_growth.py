"""How far a value is from a parameter of its block: what a loop adds to a carry in a round.

A value is *near* a parameter p, by an interval d, if each of its elements is some element of p plus something in d. A
carry that ends a round near itself by d lies, after n rounds, within n d of where it began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from .interval import ZERO, Interval
from .interval_rules import MOVES, wraps
from .ir import Equation

Near = Mapping[int, Interval]
"""By parameter; empty where nothing is known. Only finite distances are kept, and few of a sum of many parameters."""

MOST = 8


def of_parameter(i: int) -> Near:
    return {i: ZERO}


def after(eqn: Equation, near: Callable[[int], Near], interval: Callable[[int], Interval]) -> Near:
    """Of the result of an equation without blocks."""
    match eqn.op:
        case "add":
            x, y = eqn.inputs
            if not wraps(interval(x) + interval(y), eqn.outputs[0]):
                found = shifted(near(y), interval(x)) | shifted(near(x), interval(y))
                return dict(islice(found.items(), MOST))
        case "sub":
            x, y = eqn.inputs
            if not wraps(interval(x) - interval(y), eqn.outputs[0]):
                return shifted(near(x), -interval(y))
        case "select":
            return either([near(i) for i in eqn.inputs[1:]])
        case "concat":
            return either([near(i) for i in eqn.inputs])
        case "dynamic_update":
            return either([near(i) for i in eqn.inputs[:2]])
        case "put":
            return either([near(eqn.inputs[0]), near(eqn.inputs[2])])
        case name if name in MOVES or name == "within":
            return near(eqn.inputs[0])
    return {}


def shifted(near: Near, by: Interval) -> dict[int, Interval]:
    """Of a value to which something in `by` is added."""
    return {p: d + by for p, d in near.items()} if near and by.is_finite else {}


def either(parts: Sequence[Near]) -> dict[int, Interval]:
    """Of a value whose elements are elements of one of the parts."""
    found = dict(parts[0])
    for part in parts[1:]:
        found = {p: d.join(part[p]) for p, d in found.items() if p in part}
    return found


def after_rounds(start: Interval, step: Interval, n: int) -> Interval:
    """Of a carry in 0 to n rounds, each of which adds something in `step`."""
    return start.join(start + step.times(n))

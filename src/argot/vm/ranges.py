"""Provable intervals of values, and the bounds that follow for comparisons and approximations.

Intervals come from constants, `within`, booleans, small integers, comparisons, functions with bounded results, and
arithmetic on those (`interval_rules`), from choices by a comparison and other patterns (`interval_patterns`), and from
what a loop adds in a round (`interval_growth`).

`annotate` writes what is proved into a program (attribute `bound`: |v| < 2^bound for the value compared or
approximated); `verify` refuses promises that are narrower than what follows from the program itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ProgramError
from . import interval_growth as growth
from .interval import GRID, UNKNOWN, Interval, joined, of_array
from .interval_growth import Near
from .interval_patterns import Known
from .interval_rules import of_type, result, tidy
from .ir import Block, Equation, Program, TensorType

MAX_BOUND = 64  # wider bounds say nothing in any ring
ATTEMPTS = 6  # to find intervals that hold in every round of a loop; then what does not hold is given up
DEEPEST = 3  # loops within loops of which carries are looked for: each level multiplies the attempts
PATIENCE = 2_000_000  # equations to look at, those of a loop in each attempt; then all carries are given up


def annotate(program: Program) -> Program:
    """The program with every `bound` that can be proved."""
    return Program(program.name, program.inputs, _Walk(write=True).block(program.body, None).block)


def verify(program: Program) -> None:
    """ProgramError where a `bound` is narrower than the program proves."""
    _Walk(write=False).block(program.body, None)


def intervals(program: Program) -> dict[int, Interval]:
    """The interval of every value, by number; for those in loops, over all rounds."""
    walk = _Walk(write=True)
    walk.block(program.body, None)
    return walk.known


def bound_of(x: Interval, exact: bool = True) -> int | None:
    """The smallest b with |v| < 2^b for every v in the interval, or None.

    Reals are not `exact`: they are rounded to the grid, and public factors to about 8 digits, before any slack.
    """
    m = x.magnitude if exact else x.magnitude * (1 + 2 * GRID) + GRID
    if not m < 2.0**MAX_BOUND:
        return None
    return max(math.frexp(m)[1], -8)


@dataclass(frozen=True, slots=True)
class _Done:
    """A block, annotated; the intervals of its results; which parameters they are near, by place."""

    block: Block
    results: list[Interval]
    near: list[Near]


def _is_narrower(name: str, given: Any, known: Any) -> bool:
    """Whether an attribute promises more than is known; a tuple has one promise for each operand."""
    if isinstance(known, tuple):
        return len(given) != len(known) or any(g < k for g, k in zip(given, known, strict=True))
    return bool(given > known if name == "low" else given < known)


class _Walk:
    def __init__(self, write: bool) -> None:
        self.write = write
        self.known: dict[int, Interval] = {}
        self.near: dict[int, Near] = {}
        self.depth = self.seen = 0

    def block(self, block: Block, given: Sequence[Interval] | None) -> _Done:
        """A block whose parameters are in the given intervals. What was known of its values before is forgotten."""
        self.seen += len(block.equations)
        source: dict[int, Equation] = {}
        types = {i: v.type for i, v in block.vars().items()}
        for place, p in enumerate(block.params):
            self.known[p.id] = of_type(p) if given is None else of_type(p).meet(given[place])
            self.near[p.id] = growth.of_parameter(place) if self.depth else {}
        factors: dict[int, Interval] = {}
        known = Known(source.get, self.known.__getitem__, factors)
        equations = []
        for eqn in block.equations:
            made, found, near = self.equation(eqn, [types[i] for i in eqn.inputs], known)
            equations.append(made)
            for out, interval, distance in zip(eqn.outputs, found, near, strict=True):
                self.known[out.id] = of_type(out).meet(tidy(interval, out))
                self.near[out.id] = distance
                source[out.id] = eqn
            if eqn.op == "const":
                factors[eqn.outputs[0].id] = of_array(eqn.attrs["value"])
        return _Done(
            Block(block.params, tuple(equations), block.results),
            [self.known[i] for i in block.results],
            [self.near[i] for i in block.results],
        )

    def equation(
        self, eqn: Equation, types: list[TensorType], known: Known
    ) -> tuple[Equation, list[Interval], list[Near]]:
        operands = [self.known[i] for i in eqn.inputs]
        if eqn.op == "loop":
            return self.loop(eqn, operands)
        if eqn.op == "while":
            return self.while_(eqn, operands)
        if eqn.op == "cond":
            return self.cond(eqn, operands)
        if eqn.op in _PROVED:
            eqn = self.promises(eqn, operands, types)
        near = growth.after(eqn, self.near.__getitem__, self.known.__getitem__) if self.depth else {}
        return eqn, [result(eqn, operands, types, known)], [near]

    def promises(self, eqn: Equation, operands: list[Interval], types: list[TensorType]) -> Equation:
        exact = all(t.dtype != "fixed" for t in types)
        proved = _PROVED[eqn.op](operands, exact)
        if self.write:
            return replace(eqn, attrs={**eqn.attrs, **proved})
        for name, known in proved.items():
            given = eqn.attrs[name]
            if given is not None and (known is None or _is_narrower(name, given, known)):
                raise ProgramError(f"{name} {given} of {eqn.op}", wanted=f"{known}, which is proved", where=eqn.where)
        return eqn

    # ---- blocks -----------------------------------------------------------------------------------------------------

    def loop(self, eqn: Equation, operands: list[Interval]) -> tuple[Equation, list[Interval], list[Near]]:
        consts, carries, length = (eqn.attrs[name] for name in ("consts", "carries", "length"))
        before, start, rows = operands[:consts], operands[consts : consts + carries], operands[consts + carries :]
        body = eqn.blocks[0]
        done, carried = self.carried(
            lambda assumed: self.block(body, [*before, *assumed, *rows]), start, consts, length
        )
        near: list[Near] = []
        for place, i in enumerate(eqn.inputs[consts : consts + carries], consts):
            step = done.near[place - consts].get(place)
            near.append(growth.shifted(self.near[i], growth.after_rounds(growth.ZERO, step, length)) if step else {})
        stacked = done.results[carries:]
        return replace(eqn, blocks=(done.block,)), [*carried, *stacked], [*near, *({} for _ in stacked)]

    def while_(self, eqn: Equation, operands: list[Interval]) -> tuple[Equation, list[Interval], list[Near]]:
        first, second = eqn.attrs["cond_consts"], eqn.attrs["body_consts"]
        outside, start = operands[first : first + second], operands[first + second :]
        test, body = eqn.blocks
        done, carried = self.carried(lambda assumed: self.block(body, [*outside, *assumed]), start, second, None)
        tested = self.block(test, [*operands[:first], *carried])
        return replace(eqn, blocks=(tested.block, done.block)), carried, [{} for _ in carried]

    def carried(
        self, walk: Callable[[list[Interval]], _Done], start: list[Interval], consts: int, rounds: int | None
    ) -> tuple[_Done, list[Interval]]:
        """The body of a loop, and intervals of its carries that hold before and after each round.

        An end of an interval holds if a round that starts inside does not pass it; or if what each round adds, as
        long as all carries are inside, does not lead past it in all rounds. By induction over the rounds both may be
        used side by side.
        """
        assumed, self.depth = list(start), self.depth + 1
        if self.depth > DEEPEST or self.seen > PATIENCE:
            assumed = [UNKNOWN] * len(start)
        for attempt in range(ATTEMPTS):
            done = walk(assumed)
            summed = [
                UNKNOWN if rounds is None or step is None else growth.after_rounds(s, step, rounds)
                for s, step in zip(start, (near.get(consts + i) for i, near in enumerate(done.near)), strict=False)
            ]
            ends = list(zip(assumed, done.results, summed, strict=False))
            assumed = [_end_by_end(a, found, total, attempt) for a, found, total in ends]
            if all(new == a for new, (a, _, _) in zip(assumed, ends, strict=True)):
                break
        else:
            assumed = [UNKNOWN] * len(start)
            done = walk(assumed)
        self.depth -= 1
        return done, assumed

    def cond(self, eqn: Equation, operands: list[Interval]) -> tuple[Equation, list[Interval], list[Near]]:
        done = [self.block(b, operands[1:]) for b in eqn.blocks]
        found = [joined([d.results[i] for d in done]) for i in range(len(eqn.outputs))]
        near: list[Near] = []
        for i in range(len(eqn.outputs)):
            shared = growth.either([d.near[i] for d in done])
            outer = [growth.shifted(self.near[eqn.inputs[1 + place]], d) for place, d in shared.items()]
            near.append({p: d for part in reversed(outer) for p, d in part.items()})
        return replace(eqn, blocks=tuple(d.block for d in done)), found, near


def _end_by_end(assumed: Interval, found: Interval, summed: Interval, attempt: int) -> Interval:
    """The same where it holds; else the next assumption."""
    high = _end(assumed.high, found.high, summed.high, attempt)
    return Interval(-_end(-assumed.low, -found.low, -summed.low, attempt), high)


def _end(assumed: float, found: float, summed: float, attempt: int) -> float:
    """An upper end, where a round leads to `found` and all of them to `summed`: the sum, and beyond it while it grows
    with the end; or what was found, then powers of two above it; then none.
    """
    if assumed >= min(found, summed):
        return assumed
    if attempt >= ATTEMPTS - 2 or found == math.inf:
        return math.inf
    if summed < math.inf:
        return summed + 2 * max(attempt - 1, 0) * (summed - assumed)
    if attempt == 0 or found <= 0:
        return found if attempt == 0 else 0.0
    return 2.0 ** (max(math.frexp(found)[1], -8) + 8 * attempt - 6)


def _difference(x: list[Interval], exact: bool) -> dict[str, Any]:
    return {"bound": bound_of(x[0] - x[1], exact)}


def _spread(x: list[Interval], exact: bool) -> dict[str, Any]:
    return {"bound": bound_of(x[0] - x[0], exact)}


def _meeting(x: list[Interval], exact: bool) -> dict[str, Any]:
    """Of elements and updates, any two of which may be compared."""
    return _spread([x[0].join(x[2])], exact)


def _each(x: list[Interval], exact: bool) -> dict[str, Any]:
    """Of words that use all their bits, one bound for each operand."""
    bounds = [bound_of(one, exact) for one in x]
    return {"bound": tuple(MAX_BOUND if bound is None else bound for bound in bounds)}


def _argument_of(x: list[Interval], exact: bool) -> dict[str, Any]:
    return {"bound": bound_of(x[0], exact)}


def _exponent(x: list[Interval], exact: bool) -> dict[str, Any]:
    return {"bound": bound_of(x[0], exact), "low": _limit(x[0].low), "high": _limit(x[0].high)}


def _limit(x: float) -> float | None:
    return x if abs(x) < 2.0**MAX_BOUND else None


def _fraction(x: list[Interval], exact: bool) -> dict[str, Any]:
    return {"bound": bound_of(x[1], exact), "bound_x": bound_of(x[0], exact)}


# What is proved of the operands of an operation: values for its attributes.
_PROVED: dict[str, Callable[[list[Interval], bool], dict[str, Any]]] = {
    "lt": _difference,
    "eq": _difference,
    "exp": _exponent,
    **{name: _fraction for name in ("div", "int_div", "rem")},
    **{name: _spread for name in ("reduce_max", "reduce_min", "argmax", "argmin", "cummax", "cummin")},
    "order": _each,
    **{name: _meeting for name in ("put_max", "put_min")},
    **{name: _argument_of for name in ("log", "sigmoid", "tanh", "erf", "sin", "cos", "sqrt", "rsqrt", "reciprocal")},
}

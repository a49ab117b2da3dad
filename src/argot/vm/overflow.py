"""Where a program may leave what the ring holds, found before it runs.

    for found in overflows(program, 64, 18): print(found)

Reals have f fraction bits in a ring of k bits. A product holds below 2^(k-2f-2), since it has 2f fraction bits until
it is truncated; where ABY3 computes twice a matrix product, below half of that. A sum holds below 2^(k-f-2), an
integer below 2^(k-1). The intervals of `ranges` say how far values may go. Of what they do not know nothing is said,
and neither of functions that saturate (exp), nor of what comes after a value that was reported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import ranges
from .interval import Interval
from .ir import PUBLIC, SECRET, Block, Equation, Program, Var
from .ops.base import whole

THIN = 8
"""Rows and columns from which on ABY3 computes twice a product of matrices (mpc/aby3.py)."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """A value between `low` and `high` that must stay below `limit` in magnitude.

    `where` is the user's `file:line`, or "" where it is not known; `op` the operation whose result or operand it is.
    """

    where: str
    op: str
    low: float
    high: float
    limit: float

    @property
    def is_certain(self) -> bool:
        """Whether no value of the interval is allowed."""
        return self.low >= self.limit or self.high <= -self.limit

    @property
    def how(self) -> str:
        """The interval and the limit, in words."""
        verb = "is" if self.is_certain else "may be"
        interval, limit = f"[{self.low:.4g}, {self.high:.4g}]", math.log2(self.limit)
        return f"{verb} in {interval}, beyond 2^{limit:.4g} = {self.limit:.4g}"

    def __str__(self) -> str:
        return f"{self.where}: {self.op} {self.how}" if self.where else f"{self.op} {self.how}"


def overflows(program: Program, k: int, f: int) -> list[Overflow]:
    """What may overflow in a ring of k bits with f fraction bits, in the order of the program; [] if nothing may."""
    search = _Search(k, f, ranges.intervals(program))
    return list(search.block(program.body, {p.id for p in program.body.params}))


class _Search:
    def __init__(self, k: int, f: int, intervals: dict[int, Interval]) -> None:
        self.k, self.intervals = k, intervals
        self.product, self.sum = 2.0 ** (k - 2 * f - 2), 2.0 ** (k - f - 2)
        # The end itself, -2^(k-1), is an integer of the ring, and 2^63 - 1 is 2^63 as a float.
        self.integer = math.nextafter(2.0 ** (k - 1), math.inf)
        self.beyond: set[int] = set()  # values that may have overflowed, of which nothing more is said

    def block(self, block: Block, inputs: set[int]) -> Iterator[Overflow]:
        """Of a block; `inputs` are the numbers of values that are encoded by their owners."""
        values = block.vars()
        source = {v.id: eqn for eqn in block.equations for v in eqn.outputs}
        for eqn in block.equations:
            follows, before = any(i in self.beyond for i in eqn.inputs), len(self.beyond)
            for inner in eqn.blocks:
                if follows:
                    self.beyond.update(p.id for p in inner.params)
                yield from self.block(inner, set())
            if not eqn.blocks and not follows and eqn.outputs[0].visibility != PUBLIC:
                found = self.first(eqn, [values[i] for i in eqn.inputs], source, inputs)
                if found is not None:
                    yield found
                follows = found is not None or self.saturates(eqn)
            if follows or len(self.beyond) > before:
                self.beyond.update(v.id for v in eqn.outputs)

    def first(
        self, eqn: Equation, operands: list[Var], source: dict[int, Equation], inputs: set[int]
    ) -> Overflow | None:
        """The first thing wrong with an equation without blocks."""
        for interval, limit in self.needs(eqn, operands, source, inputs):
            if interval.is_finite and interval.magnitude >= limit:
                return Overflow(eqn.where, eqn.op, interval.low, interval.high, limit)
        return None

    def saturates(self, eqn: Equation) -> bool:
        """Whether a result may be cut off at the largest number, which its interval does not know."""
        return eqn.op == "exp" and self.intervals[eqn.outputs[0].id].magnitude >= self.product

    def needs(
        self, eqn: Equation, operands: list[Var], source: dict[int, Equation], inputs: set[int]
    ) -> Iterator[tuple[Interval, float]]:
        """Intervals and what they must stay below in magnitude."""
        out = eqn.outputs[0]
        found, known = self.intervals[out.id], [self.intervals[v.id] for v in operands]
        match eqn.op:
            case "add" | "sub" | "neg" | "reduce_sum" | "cumsum" | "put_add":
                yield found, self.most(out, self.sum)
            case "mul" if out.type.dtype == "fixed" and any(v.visibility == PUBLIC for v in operands):
                yield from self.scaled(found, operands, source)
            case "matmul" | "convolve":
                yield found, self.of_matrices(eqn.op, out, operands, source)
            case "mul" | "square" | "reduce_prod" | "cumprod" | "div":
                yield found, self.most(out, self.product)
            case "within" if operands[0].id in inputs:
                yield found, self.most(out, self.product)
            case "floor" | "round":
                yield known[0], self.product
            case "convert" if operands[0].type.dtype != "bool" and "fixed" in (out.type.dtype, operands[0].type.dtype):
                yield known[0], self.sum if out.type.dtype == "fixed" else self.product
            case "rem" | "int_div":
                for interval in known:
                    yield interval, self.product if out.type.dtype == "fixed" else 2.0 ** (self.k - 2)
            case "lt" | "eq" if operands[0].type.dtype != "bool":
                yield known[0] - known[1], 2 * self.sum if operands[0].type.dtype == "fixed" else self.integer

    def most(self, v: Var, reals: float) -> float:
        """The limit of a number. Words without a sign that are as wide as the ring wrap as they do anywhere."""
        if v.type.dtype == "fixed":
            return reals
        wraps = v.type.dtype.startswith("u") and v.type.numpy.itemsize * 8 >= self.k
        return math.inf if wraps else self.integer

    def scaled(
        self, found: Interval, operands: list[Var], source: dict[int, Equation]
    ) -> Iterator[tuple[Interval, float]]:
        """Of reals times public ones: as `Engine.scale` multiplies, with words of f bits for factors below 1."""
        x, c = operands if operands[1].visibility == PUBLIC else operands[::-1]
        value = _constant(c, source)
        if value is None:
            yield found, self.product
            return
        if whole(value):
            yield found, self.sum
            return
        largest = float(np.max(np.abs(value), initial=0.0))
        mantissa, exponent = math.frexp(largest)
        power = value.ndim == 0 and mantissa == 0.5 and value > 0
        yield self.intervals[x.id], self.sum if power else self.product / math.ldexp(largest, max(0, -exponent))

    def of_matrices(self, op: str, out: Var, operands: list[Var], source: dict[int, Equation]) -> float:
        """The limit of a matrix product or convolution, which is summed before it is truncated; integers are exact."""
        if out.type.dtype != "fixed" or any(v.type.dtype != "fixed" for v in operands):
            return self.most(out, self.sum)
        public = [_constant(v, source) for v in operands if v.visibility == PUBLIC]
        if public:
            return self.sum if public[0] is not None and whole(public[0]) else self.product
        if op == "matmul":
            rows, columns = out.type.shape[-2:]
        else:
            rows, columns = out.type.size // out.type.shape[1], out.type.shape[1]
        twice = out.visibility == SECRET and min(rows, columns) >= THIN
        return self.product / 2 if twice else self.product


def _constant(v: Var, source: dict[int, Equation]) -> np.ndarray[Any, Any] | None:
    """The array of a constant; None for another value."""
    made = source.get(v.id)
    while made is not None and made.op in ("broadcast", "reshape"):
        made = source.get(made.inputs[0])
    return made.attrs["value"] if made is not None and made.op == "const" else None

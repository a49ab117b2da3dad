"""Costs: what an operation declares, and what was measured.

**Declaring.** Every operation that sends carries its cost beside its code:

    @cost(rounds="2 + log2(k)", bits="4*k - 2")
    async def less_than(self, x, y): ...

`rounds` is the longest chain of dependent messages, `bits` the payload of all messages of *all parties* together,
per element of the result. Headers and padding of packets are not counted. The decorated function is an `async`
method of a protocol, or an `async` function whose first argument is a protocol: the first argument has `.party`.

A formula is an expression over integers with these variables (a call supplies those that its formula names):

    k   bits of the ring                     n   elements of the result
    f   fraction bits of the protocol        l   the bound: |x| < 2^(l-1); k where none is given
    d   bits truncated                       w   width of a boolean share in bits
    p   number of parties                    any other name that the case of the operation supplies

It may use + - * / // % **, comparisons, `and`/`or`/`not`, `a if c else b`, and the functions `min`, `max`, `ceil`,
`floor`, `log2`. **`log2(x)` is rounded up to an integer**: log2(64) = 6, log2(65) = 7, log2(1) = 0, so it counts the
levels of a binary tree with x leaves. `/` is exact (a fraction), so `k/3` loses nothing. An operation that has a
form with fewer rounds and one with fewer bytes says so: `rounds="2 if n < 4096 else 3"`.

**Measuring.** The runtime counts payload bits, messages and calls for each path of decorated operations, for example
`sigmoid/mul_trunc/trunc`, with the rounds from entry to exit (`Record`). Rounds of calls that overlap overlap too,
so the rounds of a path are the sum over its calls, not a share of the total.

**Comparing.** `conformance.check_costs` runs every decorated operation of a protocol in the lock-step world and
requires declared == measured, exactly.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..errors import ProgramError

if TYPE_CHECKING:
    from .party import Party

P = ParamSpec("P")
R = TypeVar("R")
Number = int | Fraction
AsyncFunction = Callable[P, Coroutine[Any, Any, R]]


class Record:
    """What was measured on one path: a tree, a node for each decorated operation called from the node above.

    Fields count what this party sent on the path itself; `total` adds the paths below.
    """

    __slots__ = ("bits", "calls", "children", "messages", "name", "ns", "rounds")

    def __init__(self, name: str = ""):
        self.name = name
        self.calls = 0
        self.messages = 0
        self.bits = 0
        self.rounds = 0
        self.ns = 0
        self.children: dict[str, Record] = {}

    def child(self, name: str) -> Record:
        """The record of `name` called from here."""
        found = self.children.get(name)
        if found is None:
            found = self.children[name] = Record(name)
        return found

    def total(self, what: str) -> int:
        """`messages` or `bits` of this path and all below it."""
        return int(getattr(self, what)) + sum(child.total(what) for child in self.children.values())

    def walk(self, prefix: str = "") -> Iterator[tuple[str, Record]]:
        """(path, record) of this node and all below it; the root has the path ""."""
        path = f"{prefix}/{self.name}" if prefix else self.name
        yield path, self
        for child in self.children.values():
            yield from child.walk(path)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each path, for reports: path, calls, rounds, messages, bytes, seconds.

        Messages and bytes include the paths below, as rounds and seconds do."""
        return [
            {
                "path": path,
                "calls": record.calls,
                "rounds": record.rounds,
                "messages": record.total("messages"),
                "bytes": record.total("bits") // 8,
                "seconds": record.ns / 1e9,
            }
            for path, record in self.walk()
        ]

    def merge(self, other: Record) -> Record:
        """Add what another party measured: traffic adds up, rounds and time are the larger ones."""
        self.calls = max(self.calls, other.calls)
        self.messages += other.messages
        self.bits += other.bits
        self.rounds = max(self.rounds, other.rounds)
        self.ns = max(self.ns, other.ns)
        for name, child in other.children.items():
            self.child(name).merge(child)
        return self


@contextmanager
def scope(party: Party, name: str) -> Iterator[Record]:
    """Count what the current task does inside under `name`: `with scope(self.party, "epoch"): ...`.

    Tasks spawned inside inherit the path. The task that enters must be the one that leaves.
    """
    task = party.task
    outer = task.record
    task.record = inner = outer.child(name)
    inner.calls += 1
    depth, began = task.depth, perf_counter_ns()
    try:
        yield inner
    finally:
        inner.rounds += task.depth - depth
        inner.ns += perf_counter_ns() - began
        task.record = outer


# --------------------------------------------------------------------------------------------------- formulas

_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: Fraction,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


def log2(x: Number) -> int:
    """The least integer e with 2^e >= x, for x >= 1."""
    return (math.ceil(x) - 1).bit_length()


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "ceil": math.ceil,
    "floor": math.floor,
    "log2": log2,
}


class Formula:
    """An expression over named integers; see the module for what it may contain."""

    def __init__(self, text: str):
        self.text = text
        self._tree = ast.parse(text, mode="eval").body
        self.names = frozenset(
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and node.id not in _FUNCTIONS
        )

    def __call__(self, variables: Mapping[str, Number]) -> Fraction:
        """Its value, exactly.

        Raises:
            ProgramError: a variable is missing, or the expression uses what formulas may not use.
        """
        missing = sorted(self.names - variables.keys())
        if missing:
            raise ProgramError(
                f"the cost formula '{self.text}' uses {', '.join(missing)}",
                wanted=f"one of {', '.join(sorted(variables))}",
                todo="supply it in the `variables` of the operation's case",
            )
        return Fraction(self._value(self._tree, variables))

    def _value(self, node: ast.expr, names: Mapping[str, Number]) -> Any:
        match node:
            case ast.Constant(value=int() as value):
                return value
            case ast.Name(id=name):
                return names[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](self._value(left, names), self._value(right, names))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, names)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, names)
            case ast.BoolOp(op=op, values=values):
                return (all if isinstance(op, ast.And) else any)(self._value(v, names) for v in values)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](self._value(left, names), self._value(right, names))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._value(body if self._value(test, names) else orelse, names)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*(self._value(arg, names) for arg in args))
        raise ProgramError(f"the cost formula '{self.text}' contains '{ast.unparse(node)}'")

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Cost:
    """Declared cost: rounds of one call, bits per element of the result over all parties."""

    rounds: Formula
    bits: Formula


def cost(*, rounds: str, bits: str) -> Callable[[AsyncFunction[P, R]], AsyncFunction[P, R]]:
    """Declare what an operation costs, and count what it does under its name. The module has the language."""
    declared = Cost(Formula(rounds), Formula(bits))

    def decorate(function: AsyncFunction[P, R]) -> AsyncFunction[P, R]:
        name = function.__name__

        @functools.wraps(function)
        async def metered(*args: P.args, **kwargs: P.kwargs) -> R:
            task = args[0].party.task  # type: ignore[attr-defined]
            if task is None:  # a reference in the clear: its party never starts
                return await function(*args, **kwargs)
            outer = task.record
            task.record = inner = outer.children.get(name) or outer.child(name)
            depth, began = task.depth, perf_counter_ns()
            try:
                return await function(*args, **kwargs)
            finally:
                inner.calls += 1
                inner.rounds += task.depth - depth
                inner.ns += perf_counter_ns() - began
                task.record = outer

        metered.cost = declared  # type: ignore[attr-defined]
        return metered

    return decorate


def declared(function: Callable[..., Any]) -> Cost | None:
    """The cost that a function declares with `@cost`, if it does."""
    found = getattr(function, "cost", None)
    return found if isinstance(found, Cost) else None

"""Costs: what an operation declares, and what was measured.

**Declaring.** Every operation that sends carries its cost beside its code:

    @cost(rounds="2 + log2(k)", bits="4*k - 2")
    async def msb(self, x): ...

`rounds` is the longest chain of dependent messages, `bits` the payload of all messages of *all parties* together,
per element of the result. Headers and padding of packets are not counted. The decorated function is an `async`
method of a protocol, or an `async` function whose first argument is a protocol: the first argument has `.party`.

A formula is an expression over integers with these variables (a call supplies those that its formula names):

    k   bits of the ring                     n   elements of the result
    f   fraction bits of the protocol        l   the bound: |x| < 2^(l-1); k where none is given
    d   bits truncated                       w   width of a boolean share in bits
    p   number of parties                    few elements up to which rounds count for more than bytes
    any other name that the case of the operation supplies

It may use + - * / // % **, comparisons, `and`/`or`/`not`, `a if c else b`, and the functions `min`, `max`, `ceil`,
`floor`, `log2`. **`log2(x)` is rounded up to an integer**: log2(64) = 6, log2(65) = 7, log2(1) = 0, so it counts the
levels of a binary tree with x leaves. `/` is exact (a fraction), so `k/3` loses nothing. An operation that has a
form with fewer rounds and one with fewer bytes says so: `rounds="2 if n <= few else 3"`. `given(x, y)` is the
variable x where the case supplies it, else y.

**Composing.** An operation made of others says of which; one text then declares rounds and bits:

    @cost("gather(msb(), msb(l=l-3)) + mul_bit()")

`msb(l=l-3)` is what the protocol's `msb` declares, with the variables of this formula but another l; a name that the
protocol does not have is a function of the module that declares. `a + b` is a, then b; `gather(a, b)` is both side
by side: bits add up, rounds do not. `3*a` is a three times in a row. `in_parts(a, sizes(n), 8)` is a on each of the
parts of n elements that a function of the module lists, 8 at a time: a part begins when the one 8 before it ends. Any
other function of the module may be called with numbers; it must be pure.

**Rounds of a sequence** may be fewer than those of its parts: a party that only sends does not wait. An operation
that has such a party says which messages make its rounds, as `sends(0, 2) + sends(2, 1)` instead of 2 (`Chains`). A
number says that everybody waits for everybody.

**Measuring.** The runtime counts payload bits, messages and calls for each path of decorated operations, for example
`sigmoid/mul_trunc/trunc`, with the rounds from entry to exit (`Record`). Rounds of calls that overlap overlap too,
so the rounds of a path are the sum over its calls, not a share of the total.

**Comparing.** `conformance.check_costs` runs every operation of a protocol in the lock-step world and requires
declared == measured, exactly. Formulas are evaluated there only, never when an operation runs.
"""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from ..errors import ProgramError

if TYPE_CHECKING:
    from .party import Party

P = ParamSpec("P")
R = TypeVar("R")
Number = int | Fraction
AsyncFunction = Callable[P, Coroutine[Any, Any, R]]


LINE = "line "
"""Begins the names of records that stand for a line of the user's program; they are at the top of the tree."""


Span = tuple[str, str, int, int]
"""Something that took time: what, the user's line, begin and end by `perf_counter_ns`."""

SPANS = 4096
"""Spans that are kept of a run: the last ones."""


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

    @property
    def lines(self) -> list[Record]:
        """What was measured at each line of the user's program: see `LINE`."""
        return [record for name, record in self.children.items() if name.startswith(LINE)]

    def without_lines(self) -> Record:
        """The tree by operations alone: those of different lines together."""
        found = Record(self.name)
        found._add(self)
        for record in self.lines:
            del found.children[record.name]
        for record in self.lines:
            found.messages += record.messages
            found.bits += record.bits
            for name, child in record.children.items():
                found.child(name)._add(child)
        return found

    def _add(self, other: Record) -> None:
        """What the same party did elsewhere."""
        for what in ("calls", "messages", "bits", "rounds", "ns"):
            setattr(self, what, getattr(self, what) + getattr(other, what))
        for name, child in other.children.items():
            self.child(name)._add(child)

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

    Tasks spawned inside inherit the path. The task that enters must be the one that leaves. Where no task runs, as for
    a reference in the clear, nothing is counted.
    """
    if not party.started:
        yield Record(name)
        return
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


class Chains:
    """Rounds of an operation, party by party: `length[a, b]` is the longest chain of messages from what party a has at
    the beginning to what party b has at the end. Without an entry b's end does not depend on a.

    `x + y` is x, then y; `x | y` side by side; `m * x` m times in a row. An integer stands for that many rounds in
    which everybody waits for everybody.
    """

    __slots__ = ("length",)

    def __init__(self, length: Mapping[tuple[int, int], int]) -> None:
        self.length = dict(length)

    @classmethod
    def sends(cls, sender: int, receiver: int, parties: int) -> Chains:
        """One message."""
        return cls({(a, a): 0 for a in range(parties)} | {(sender, receiver): 1})

    @property
    def longest(self) -> int:
        return max(self.length.values())

    def __add__(self, other: Rounds) -> Chains:
        found: dict[tuple[int, int], int] = {}
        for (a, b), first in self.length.items():
            for (c, d), second in self._like(other).length.items():
                if b == c:
                    found[a, d] = max(found.get((a, d), 0), first + second)
        return Chains(found)

    def __radd__(self, other: Number) -> Chains:
        return self._like(other) + self

    def __or__(self, other: Rounds) -> Chains:
        theirs = self._like(other).length
        return Chains({pair: max(x.get(pair, 0) for x in (self.length, theirs)) for pair in self.length | theirs})

    __ror__ = __or__

    def __rmul__(self, times: Number) -> Chains:
        found = self._like(0)
        for _ in range(int(times)):
            found += self
        return found

    def _like(self, other: Rounds) -> Chains:
        """`other`, among the same parties."""
        if isinstance(other, Chains):
            return other
        parties = {a for a, _ in self.length}
        return Chains({(a, b): int(other) for a in parties for b in parties if other or a == b})


Rounds = Chains | Number


def _side_by_side(kind: str, values: Sequence[Any]) -> Any:
    if kind == "bits":
        return sum(values)
    chains = [value for value in values if isinstance(value, Chains)]
    numbers = [value for value in values if not isinstance(value, Chains)]
    return functools.reduce(operator.or_, [*chains, *([max(numbers)] if numbers else [])])


@dataclass(frozen=True)
class Context:
    """Where a formula is evaluated: which cost is asked for, the variables, and where the names of operations lead."""

    kind: Literal["rounds", "bits"]
    variables: Mapping[str, Number]
    protocol: Any = None
    module: Mapping[str, Any] = field(default_factory=dict)

    def find(self, name: str) -> Any:
        """What a call of `name` means: the protocol's own operation, else what the module has, `derived.exp` for
        example; None if there is nothing."""
        own = getattr(self.protocol, name, None)
        if declared(own) is not None:
            return own
        first, *rest = name.split(".")
        return functools.reduce(lambda found, part: getattr(found, part, None), rest, self.module.get(first))


class Formula:
    """An expression over named integers; see the module for what it may contain."""

    def __init__(self, text: str):
        self.text = " ".join(text.split())
        self._tree = ast.parse(self.text, mode="eval").body
        self.names = frozenset(_variables(self._tree))

    def __call__(
        self,
        variables: Mapping[str, Number],
        kind: Literal["rounds", "bits"] = "bits",
        protocol: Any = None,
        module: Mapping[str, Any] | None = None,
    ) -> Any:
        """Its value, exactly: a number, or the `Chains` of rounds.

        Args:
            variables: by name.
            kind: which cost of the operations that it calls.
            protocol: the class, or an object, whose operations they are.
            module: the names of the module that declares.

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
        found = self._value(self._tree, Context(kind, variables, protocol, module or {}))
        return found if isinstance(found, Chains) else Fraction(found)

    def _value(self, node: ast.expr, at: Context) -> Any:
        match node:
            case ast.Constant(value=int() as value):
                return value
            case ast.Name(id=name):
                return at.variables[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _BINARY[type(op)](self._value(left, at), self._value(right, at))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self._value(operand, at)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._value(operand, at)
            case ast.BoolOp(op=op, values=values):
                return (all if isinstance(op, ast.And) else any)(self._value(v, at) for v in values)
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return _COMPARE[type(op)](self._value(left, at), self._value(right, at))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self._value(body if self._value(test, at) else orelse, at)
            case ast.Call(func=ast.Name(id="given"), args=[ast.Name(id=name), default], keywords=[]):
                return at.variables[name] if name in at.variables else self._value(default, at)
            case ast.Call(func=ast.Name(id="in_parts"), args=[body, sizes, limit], keywords=[]):
                return self._in_parts(body, self._value(sizes, at), int(self._value(limit, at)), at)
            case ast.Call(func=ast.Name() | ast.Attribute() as function, args=args, keywords=keywords):
                if not any(isinstance(arg, ast.Starred) for arg in args) and all(k.arg for k in keywords):
                    numbers = [self._value(arg, at) for arg in args]
                    return self._call(node, ast.unparse(function), numbers, keywords, at)
        raise self._error(node)

    def _in_parts(self, body: ast.expr, sizes: Sequence[int], limit: int, at: Context) -> Any:
        values = [self._value(body, replace(at, variables={**at.variables, "n": size})) for size in sizes]
        if at.kind == "bits":
            return sum(size * value for size, value in zip(sizes, values, strict=True)) / Fraction(sum(sizes))
        ends: list[Any] = []
        for i, value in enumerate(values):
            ends.append(ends[i - limit] + value if i >= limit else value)
        return _side_by_side("rounds", ends)

    def _call(self, node: ast.expr, name: str, numbers: list[Any], keywords: list[ast.keyword], at: Context) -> Any:
        changed = {str(keyword.arg): self._value(keyword.value, at) for keyword in keywords}
        if not changed:
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](*numbers)
            if name == "gather":
                return _side_by_side(at.kind, numbers)
            if name == "sends" and "p" in at.variables:
                sender, receiver = numbers
                return Chains.sends(sender, receiver, int(at.variables["p"]))
        found = at.find(name)
        costs = declared(found)
        if costs is not None and not numbers:
            return costs.value(at.kind, {**at.variables, **changed}, at.protocol)
        if costs is None and callable(found) and not changed:
            return found(*numbers)
        raise self._error(node)

    def _error(self, node: ast.expr) -> ProgramError:
        return ProgramError(f"the cost formula '{self.text}' contains '{ast.unparse(node)}'")

    def __repr__(self) -> str:
        return self.text


def _variables(node: ast.AST) -> Iterator[str]:
    """The variables that an expression needs: not the names of functions, nor what `given` may do without."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Call(func=function, args=args, keywords=keywords):
            if isinstance(function, ast.Name) and function.id == "given":
                args = args[1:]
            for part in (*args, *keywords):
                yield from _variables(part)
        case _:
            for part in ast.iter_child_nodes(node):
                yield from _variables(part)


@dataclass(frozen=True)
class Cost:
    """Declared cost: rounds of one call, bits per element of the result over all parties.

    `module` holds the names that the formulas may call besides the operations of the protocol.
    """

    rounds: Formula
    bits: Formula
    module: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def value(self, kind: Literal["rounds", "bits"], variables: Mapping[str, Number], protocol: Any) -> Any:
        """One of the two, as the formula gives it: rounds may be `Chains`."""
        formula = self.rounds if kind == "rounds" else self.bits
        return formula(variables, kind, protocol, self.module)

    def evaluate(self, protocol: Any, variables: Mapping[str, Number]) -> tuple[Fraction, Fraction]:
        """(rounds, bits) for a protocol."""
        rounds, bits = (self.value(kind, variables, protocol) for kind in _KINDS)
        return Fraction(rounds.longest if isinstance(rounds, Chains) else rounds), bits


_KINDS: tuple[Literal["rounds", "bits"], ...] = ("rounds", "bits")


def cost(
    made_of: str | None = None, *, rounds: str | None = None, bits: str | None = None
) -> Callable[[AsyncFunction[P, R]], AsyncFunction[P, R]]:
    """Declare what an operation costs, and count what it does under its name. The module has the language.

    Args:
        made_of: a formula for rounds and bits alike.
        rounds, bits: a formula for each, where they differ.
    """
    of_rounds, of_bits = rounds or made_of, bits or made_of
    if of_rounds is None or of_bits is None:
        raise ProgramError("a cost without rounds or without bits", wanted="`rounds` and `bits`, or one text for both")
    formulas = Formula(of_rounds), Formula(of_bits)

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
            running = function(*args, **kwargs)
            del args, kwargs  # what the operation itself has no more use for can go before it ends
            try:
                return await running
            finally:
                inner.calls += 1
                inner.rounds += task.depth - depth
                inner.ns += perf_counter_ns() - began
                task.record = outer

        metered.cost = Cost(*formulas, function.__globals__)  # type: ignore[attr-defined]
        return metered

    return decorate


def declared(function: Any) -> Cost | None:
    """The cost that a function declares with `@cost`, if it does."""
    found = getattr(function, "cost", None)
    return found if isinstance(found, Cost) else None

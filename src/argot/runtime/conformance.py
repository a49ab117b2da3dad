"""Every declared cost compared with what the lock-step world measures, without opt-outs.

    cases = {"less_than": less_than_case, ...}             # one for each operation

    async def less_than_case(p) -> Case:                   # runs before the measurement: makes the shares
        x, y = await gather(p.share(...), p.share(...))
        return Case(args=(x, y), elements=128, variables={"l": 64})

    check_costs(Aby3, cases)                               # raises with the list of all that disagree

An operation is every public coroutine of the protocol. One without a cost or without a case is an error. Choose a
multiple of 64 elements, so that bit planes have no padding to pay for. `n` is `elements` unless `variables` say
otherwise; `k`, `f`, `p` and `few` come from the protocol (`k`, `fraction_bits`, `party.n`, `few`); `l` is `k` unless
given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from inspect import iscoroutinefunction, ismodule
from typing import Any

from ..errors import ProgramError
from .meter import Number, declared
from .party import Party
from .world import World


@dataclass(frozen=True)
class Case:
    """Arguments on which an operation is measured, and how many elements its result has."""

    args: tuple[Any, ...]
    elements: int
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """Declared and measured cost of one operation; `bits` is per element."""

    name: str
    declared: tuple[Fraction, Fraction]
    rounds: int
    bits: Fraction

    @property
    def agrees(self) -> bool:
        return self.declared == (self.rounds, self.bits)

    def __str__(self) -> str:
        rounds, bits = self.declared
        return f"{self.name}: declared {rounds} rounds, {bits} bits; measured {self.rounds} rounds, {self.bits} bits"


def variables_of(protocol: Any, case: Case) -> dict[str, Number]:
    """The variables of cost formulas for one case of a protocol."""
    known: dict[str, Number] = {
        "k": protocol.k,
        "l": protocol.k,
        "f": protocol.fraction_bits,
        "p": protocol.party.n,
        "n": case.elements,
        "few": protocol.few,
    }
    return known | getattr(protocol, "variables", {}) | dict(case.variables)


def operations_of(holder: Any) -> dict[str, Callable[..., Any]]:
    """The public coroutines of a protocol's class, or those that a module defines, by name.

    Of a function that a protocol may replace it is the general one (its attribute `general`).

    Raises:
        ProgramError: some declare no cost; lists them.
    """
    found = {name: getattr(holder, name) for name in dir(holder) if not name.startswith("_")}
    found = {name: getattr(value, "general", value) for name, value in found.items()}
    if ismodule(holder):
        found = {name: f for name, f in found.items() if getattr(f, "__module__", None) == holder.__name__}
    found = {name: function for name, function in found.items() if iscoroutinefunction(function)}
    undeclared = sorted(name for name, function in found.items() if declared(function) is None)
    if undeclared:
        raise ProgramError(
            f"{', '.join(undeclared)} of {holder.__name__} declare no cost", todo="decorate each with @cost"
        )
    return found


def check_costs(
    factory: Callable[[Party], Any],
    cases: Mapping[str, Callable[[Any], Coroutine[Any, Any, Case]]],
    functions: Mapping[str, Callable[..., Any]] | None = None,
    *,
    parties: int = 3,
    seed: int = 0,
    only: Collection[str] | None = None,
) -> list[Measured]:
    """Measure every operation, in the lock-step world.

    Args:
        factory: makes the protocol of one party, for example `Aby3`.
        cases: for each operation by name, an async function that makes its arguments (shares among them).
        functions: decorated functions that are not methods of the protocol, for example those of `derived/`; by names
            that the protocol's operations do not have.
        parties: how many parties the protocol has.
        seed: of the test world.
        only: names of operations to measure, else all.

    Returns: one `Measured` for each operation, in the order of their names.

    Raises:
        ProgramError: an operation declares no cost or has no case, or a declared cost is not what was measured; lists
            all of them.
    """
    world = World(factory, n=parties, seed=seed)
    protocol = world.protocols[0]
    operations = {**(functions or {}), **operations_of(type(protocol))}
    if only is not None:
        operations = {name: operations[name] for name in only}
    missing = sorted(operations.keys() - cases.keys())
    if missing:
        raise ProgramError(f"no cost case for {', '.join(missing)}", todo="add one: every operation is measured")

    measured = []
    for name in sorted(operations):
        function, formulas = operations[name], declared(operations[name])
        if formulas is None:
            raise ProgramError(f"{name} declares no cost", todo="decorate it with @cost")
        prepared = world.run(cases[name])

        async def call(p: Any, case: Case, function: Callable[..., Any] = function) -> Any:
            return await function(p, *case.args, **case.kwargs)

        world.run(call, prepared)
        case = prepared[0]
        known = variables_of(protocol, case)
        expected = formulas.evaluate(type(protocol), known)
        measured.append(Measured(name, expected, world.rounds, Fraction(world.bits, case.elements)))
    wrong = [str(m) for m in measured if not m.agrees]
    if wrong:
        raise ProgramError("declared costs are not what was measured:\n    " + "\n    ".join(wrong))
    return measured

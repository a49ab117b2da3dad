"""What a program will cost, line by line, before it runs.

Each equation is run once by all parties in the lock-step world, on shares of zeros of the shapes that it will have.
What is sent never depends on secret values, so the bytes are exact. Rounds are those of the longest chain of
equations, each with the rounds that it takes alone: where one party waits for less than the others do, two equations
in a row may take fewer. Work is the time of a party here, on a machine of its own.

Equations that go element by element run on at most `SAMPLE` elements, and count in proportion, as does the number of
elements up to which they take the form with fewer rounds. The rounds of a loop cost the same each, so its body is
looked at once. What is public, but not known before the run, is taken to be 1, or 1/3 where it is real.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from ..mpc import Form
from ..mpc.protocol import Protocol
from ..runtime.link import Link
from ..runtime.world import World
from . import ops
from .engine import Engine
from .ir import PUBLIC, Block, Equation, Program, TensorType, Var, attr_key
from .ops.base import Array, Op, Operand, Shared
from .values import Public

SAMPLE = 2**18
QUICK = 0.1  # seconds
_ENDLESS = "while"


@dataclass
class LineCost:
    """What the equations of one line of the user cost together.

    Attributes:
        where: the line, as file:line.
        operations: their names, in the order of the program.
        calls: how often equations that send run.
        rounds: of all of them in a row; those of other lines may overlap with them.
        bytes: sent by all parties.
        seconds: work of one party.
    """

    where: str
    operations: list[str] = field(default_factory=list)
    calls: int = 0
    rounds: int = 0
    bytes: float = 0.0
    seconds: float = 0.0


@dataclass
class Estimate:
    """What a program costs.

    Attributes:
        lines: in the order of the program.
        rounds: the longest chain of messages.
        sent: bytes that each party sends.
        seconds: work of one party.
        endless: lines with `while` loops, of which one round is counted.
    """

    lines: list[LineCost]
    rounds: int
    sent: tuple[float, ...]
    seconds: float
    endless: tuple[str, ...]

    @property
    def bytes(self) -> float:
        return sum(self.sent)


def estimate(
    program: Program, protocol: type[Protocol] | Form, ring: int, fraction_bits: int, link: Link | None = None
) -> Estimate:
    """The cost of a program under a protocol, between parties with such a link. Takes about as long as a run of every
    equation that differs."""
    walk = _Walk(World(lambda party: protocol(party, ring, fraction_bits, link), n=protocol.parties, debug=False))
    depths = walk.block(program.body, [_Known() for _ in program.parameters], 1)
    sent = tuple(float(x) for x in walk.sent)
    lines = list(walk.lines.values())
    return Estimate(
        lines,
        max((known.depth for known in depths), default=0),
        sent,
        sum(line.seconds for line in lines),
        tuple(dict.fromkeys(walk.endless)),
    )


@dataclass(frozen=True)
class _Known:
    """What is known of a value: its array if it is public and computed from constants, and the length of the chain of
    messages that it depends on."""

    array: Array | None = None
    depth: int = 0


@dataclass(frozen=True)
class _Cost:
    """Of one equation: rounds, bytes sent by each party, seconds of one party."""

    rounds: int
    sent: Array
    seconds: float


class _Walk:
    def __init__(self, world: World) -> None:
        self.world = world
        self.lines: dict[str, LineCost] = {}
        self.sent = np.zeros(world.n)
        self.endless: list[str] = []
        self.costs: dict[Any, _Cost] = {}
        self.free = _Cost(0, np.zeros(world.n), 0.0)

    def block(self, block: Block, given: Sequence[_Known], times: int) -> list[_Known]:
        """What is known of the results of a block that runs `times` times."""
        types = block.vars()
        env = {v.id: known for v, known in zip(block.params, given, strict=True)}
        for eqn in block.equations:
            operands = [env[i] for i in eqn.inputs]
            if eqn.blocks:
                found = self.control(eqn, operands, times)
            else:
                found = [self.equation(eqn, operands, [types[i] for i in eqn.inputs], times)]
            env.update((v.id, known) for v, known in zip(eqn.outputs, found, strict=True))
        return [env[i] for i in block.results]

    def equation(self, eqn: Equation, operands: list[_Known], inputs: list[Var], times: int) -> _Known:
        out = eqn.outputs[0]
        depth = max((known.depth for known in operands), default=0)
        op = ops.find(eqn.op)
        if out.visibility == PUBLIC:
            arrays = [known.array for known in operands if known.array is not None]
            return _Known(op.clear(*arrays, **eqn.attrs) if len(arrays) == len(operands) else None, depth)
        line = self.lines.setdefault(eqn.where, LineCost(eqn.where))
        if eqn.op not in line.operations:
            line.operations.append(eqn.op)
        if out.visibility.is_private:  # its owner computes it, in the clear
            return _Known(None, depth)
        cost = self.cost(eqn, op, operands, inputs)
        line.calls += times * bool(cost.sent.any())
        line.rounds += times * cost.rounds
        line.bytes += times * float(cost.sent.sum())
        line.seconds += times * cost.seconds
        self.sent += times * cost.sent
        return _Known(None, depth + cost.rounds)

    def control(self, eqn: Equation, operands: list[_Known], times: int) -> list[_Known]:
        if eqn.op == "loop":
            return self.loop(eqn, operands, times)
        if eqn.op == _ENDLESS:
            first, second = eqn.attrs["cond_consts"], eqn.attrs["body_consts"]
            a, b, carry = operands[:first], operands[first : first + second], operands[first + second :]
            self.endless.append(eqn.where)
            self.block(eqn.blocks[0], _unknown([*a, *carry]), times)
            return self.block(eqn.blocks[1], _unknown([*b, *carry]), times)
        index = operands[0].array
        at = 0 if index is None else min(max(int(index), 0), len(eqn.blocks) - 1)
        return self.block(eqn.blocks[at], operands[1:], times)

    def loop(self, eqn: Equation, operands: list[_Known], times: int) -> list[_Known]:
        """Costs of all rounds. Results of a loop are there when all of it has ended, as in the machine."""
        length, consts, carries = eqn.attrs["length"], eqn.attrs["consts"], eqn.attrs["carries"]
        body, fixed = eqn.blocks[0], operands[:consts]
        carry, rows = operands[consts : consts + carries], _unknown(operands[consts + carries :])
        self.block(body, [*fixed, *_unknown(carry), *rows], times * length)
        again = _Walk(self.world)  # the same costs, for the depths of further rounds alone
        again.costs = self.costs
        depths, steps = [known.depth for known in carry], [0]
        for done in range(length):
            found = [known.depth for known in again.block(body, [*fixed, *map(_at, depths), *rows], 0)]
            before, steps = steps, [b - a for a, b in zip(depths, found[:carries], strict=True)]
            depths = found[:carries]
            if steps == before:  # every further round adds as much
                left = (length - 1 - done) * max(steps, default=0)
                return [_at(max(found) + left)] * len(eqn.outputs)
        return [_at(max([*depths, *found] if length else depths, default=0))] * len(eqn.outputs)

    def cost(self, eqn: Equation, op: Op, operands: list[_Known], inputs: list[Var]) -> _Cost:
        """Of one equation; measured once for all that are alike."""
        attrs = tuple(sorted((name, attr_key(value)) for name, value in eqn.attrs.items()))
        known = tuple(
            (v.type, v.visibility, None if k.array is None else attr_key(k.array))
            for v, k in zip(inputs, operands, strict=True)
        )
        key = (eqn.op, attrs, known, eqn.outputs[0].type)
        if key not in self.costs:
            arrays = [k.array for k in operands]
            self.costs[key] = self.free if op.form == "move" else self.measure(eqn, op, arrays, inputs)
        return self.costs[key]

    def measure(self, eqn: Equation, op: Op, arrays: list[Array | None], inputs: list[Var]) -> _Cost:
        size = eqn.outputs[0].type.size
        divides = op.form == "elementwise" or eqn.op == "share"
        part = SAMPLE / size if divides and size > SAMPLE else 1.0
        values = []
        for array, v in zip(arrays, inputs, strict=True):
            array = _stand_in(v.type) if array is None else array
            if part < 1 and array.ndim:
                array = np.ascontiguousarray(np.broadcast_to(array, v.type.shape).reshape(-1)[:SAMPLE])
            values.append(Public(array, v.type.with_shape(array.shape)))
        secret = [v.visibility != PUBLIC for v in inputs]

        async def alone(p: Protocol) -> None:
            engine = Engine(p)
            p.few = max(int(p.few * part), 1)
            if eqn.op == "share":
                owner = inputs[0].visibility.rank
                await engine.shared(engine.lift(values[0]) if p.party.rank == owner else None, owner, values[0].type)
                return
            operands: list[Operand] = [
                Shared(engine.lift(value), value.type) if hidden else value
                for value, hidden in zip(values, secret, strict=True)
            ]
            await op.share(engine, *operands, **eqn.attrs)

        def timed() -> float:
            began = perf_counter()
            self.world.run(alone)
            return (perf_counter() - began) / self.world.n

        seconds = timed()
        if seconds < QUICK:  # what is loaded and prepared at the first call does not count
            seconds = min(seconds, timed())
        return _Cost(self.world.rounds, np.array(self.world.sent) / part, seconds / part)


def _stand_in(type_: TensorType) -> Array:
    """An array in the place of one that is not known: a permutation where it must be one."""
    if type_.dtype == "order":
        return np.broadcast_to(np.arange(type_.shape[-1]), type_.shape).copy()
    return np.full(type_.shape, 1 / 3 if type_.dtype == "fixed" else 1, type_.numpy)


def _at(depth: int) -> _Known:
    return _Known(None, depth)


def _unknown(values: Sequence[_Known]) -> list[_Known]:
    """The same depths; what changes from round to round is not known."""
    return [_at(known.depth) for known in values]

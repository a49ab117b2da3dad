"""A program on shares against the same program in the clear.

`in_the_clear` computes it in float64, where nothing overflows and nothing is rounded to a grid. `exposed` makes every
secret of a program a result, those inside of loops as stacks of all rounds, so that `first_difference` can name the
equation with which results went apart. For checks with data that everybody may see, and for nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import ops
from .ir import SECRET, Block, Equation, Program, Var, renumber
from .ops.base import Array

Known = Array | None
"""A value in the clear; None for what depends on numbers drawn at random, of which there is no second copy."""


@dataclass(frozen=True)
class Exposed:
    """A secret of a program: the equation that makes it, and the place of that equation among those of its block, and
    of the loops around it among those of theirs, the outermost first."""

    op: str
    where: str
    path: tuple[int, ...]


@dataclass(frozen=True)
class Difference:
    """Where two results go apart: of which equation, in which rounds of the loops around it, at which index."""

    source: Exposed
    rounds: tuple[int, ...]
    index: tuple[int, ...]
    found: Any
    wanted: Any


def differs(found: Array, wanted: Array, tolerance: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Elementwise: reals by more than `tolerance`, and by more than that share of the number; all else at all."""
    if wanted.dtype.kind != "f":
        return np.asarray(found != wanted)
    with np.errstate(all="ignore"):
        return ~(np.abs(found - wanted) <= tolerance * np.maximum(1.0, np.abs(wanted)))


def first_difference(
    sources: Sequence[Exposed], found: Sequence[Array], wanted: Sequence[Known], tolerance: float
) -> Difference | None:
    """The first of the exposed values that differs, in the order in which a party computes them one by one."""
    first: tuple[tuple[int, ...], Difference] | None = None
    for source, a, b in zip(sources, found, wanted, strict=True):
        bad = np.empty((0, a.ndim), int) if b is None else np.argwhere(differs(a, b, tolerance))
        if not len(bad):
            continue
        assert b is not None
        at = tuple(map(int, bad[0]))
        loops = len(source.path) - 1
        moment = tuple(itertools.chain(*zip(source.path, at[:loops], strict=False), source.path[loops:]))
        if first is None or moment < first[0]:
            first = moment, Difference(source, at[:loops], at[loops:], a[at].item(), b[at].item())
    return None if first is None else first[1]


def in_the_clear(program: Program, arrays: Sequence[Any]) -> list[Known]:
    """The results of a program for inputs in the order of its parameters, in float64 and integers."""
    inputs = [np.asarray(a).astype(v.type.numpy) for a, v in zip(arrays, program.parameters, strict=True)]
    with np.errstate(all="ignore"):
        return _block(program.body, inputs)


def _block(block: Block, given: Sequence[Known]) -> list[Known]:
    env = {v.id: value for v, value in zip(block.params, given, strict=True)}
    for eqn in block.equations:
        made = _equation(eqn, [env[i] for i in eqn.inputs])
        env.update((v.id, value) for v, value in zip(eqn.outputs, made, strict=True))
    return [env[i] for i in block.results]


def _equation(eqn: Equation, values: list[Known]) -> list[Known]:
    if eqn.op == "loop":
        return _loop(eqn, values)
    if eqn.op == "while":
        first, second = eqn.attrs["cond_consts"], eqn.attrs["body_consts"]
        a, b, carry = values[:first], values[first : first + second], values[first + second :]
        while bool(_block(eqn.blocks[0], [*a, *carry])[0]):
            carry = _block(eqn.blocks[1], [*b, *carry])
        return carry
    if eqn.op == "cond":
        assert values[0] is not None  # public
        return _block(eqn.blocks[min(max(int(values[0]), 0), len(eqn.blocks) - 1)], values[1:])
    op = ops.find(eqn.op)
    arrays = [value for value in values if value is not None]
    if op.draws or len(arrays) < len(values):
        return [None]
    return [np.asarray(op.clear(*arrays, **eqn.attrs), eqn.outputs[0].type.numpy)]


def _loop(eqn: Equation, values: list[Known]) -> list[Known]:
    length, consts, carries = eqn.attrs["length"], eqn.attrs["consts"], eqn.attrs["carries"]
    fixed, carry, rows = values[:consts], values[consts : consts + carries], values[consts + carries :]
    order = range(length)[::-1] if eqn.attrs["reverse"] else range(length)
    made: list[list[Known]] = [[None] * length for _ in eqn.outputs[carries:]]
    for i in order:
        found = _block(eqn.blocks[0], [*fixed, *carry, *(None if row is None else row[i] for row in rows)])
        carry = found[:carries]
        for stack, value in zip(made, found[carries:], strict=True):
            stack[i] = value
    return [*carry, *(_stack(stack, v) for stack, v in zip(made, eqn.outputs[carries:], strict=True))]


def _stack(rows: list[Known], out: Var) -> Known:
    known = [row for row in rows if row is not None]
    if len(known) < len(rows):
        return None
    return np.stack(known) if known else np.zeros(out.type.shape, out.type.numpy)


def exposed(program: Program) -> tuple[Program, list[Exposed]]:
    """A program with the same parameters, whose results are the secrets of this one; and what they are.

    Not those inside of `while` and of `cond`, and no orders, which cannot be shown.
    """
    fresh = itertools.count(1 + max((v.id for v in _all_vars(program.body)), default=0))
    body, found = _expose(program.body, fresh, ())
    block = Block(body.params, body.equations, tuple(v.id for v, _ in found))
    return renumber(Program(program.name, program.inputs, block)), [source for _, source in found]


def _all_vars(block: Block) -> Iterator[Var]:
    yield from block.params
    for eqn in block.equations:
        yield from eqn.outputs
        for inner in eqn.blocks:
            yield from _all_vars(inner)


def _expose(block: Block, fresh: Iterator[int], path: tuple[int, ...]) -> tuple[Block, list[tuple[Var, Exposed]]]:
    """A block with the secrets of its loops stacked, and all its secrets."""
    equations, found = [], []
    for at, eqn in enumerate(block.equations):
        if eqn.op == "loop":
            body, inner = _expose(eqn.blocks[0], fresh, (*path, at))
            body = Block(body.params, body.equations, (*body.results, *(v.id for v, _ in inner)))
            length = eqn.attrs["length"]
            stacks = [Var(next(fresh), v.type.with_shape((length, *v.type.shape)), v.visibility) for v, _ in inner]
            eqn = replace(eqn, outputs=(*eqn.outputs, *stacks), blocks=(body,))
            found += [(stack, source) for stack, (_, source) in zip(stacks, inner, strict=True)]
        elif not eqn.blocks and eqn.outputs[0].visibility == SECRET and eqn.outputs[0].type.dtype != "order":
            found.append((eqn.outputs[0], Exposed(eqn.op, eqn.where, (*path, at))))
        equations.append(eqn)
    return Block(block.params, tuple(equations), block.results), found

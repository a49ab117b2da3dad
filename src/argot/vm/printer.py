"""The printed form of programs; `parser.parse` reads it back.

program step(
  %0: fixed[8,3] private(0) "xa"
) {
  %1: fixed[] public = const {name="", value=0.5}
  %2: fixed[8,3] private(0) = mul(%0, %1) at "train.py:12"
  return %2
}
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .ir import Block, Equation, Program, Var


def print_program(program: Program) -> str:
    """The text of a program, one equation a line."""
    lines = [f"program {json.dumps(program.name)}("]
    lines += [f"  {var(v)} {json.dumps(name)}" for v, name in zip(program.body.params, program.inputs, strict=True)]
    return "\n".join([*lines, ") {", *_body(program.body, "  "), "}"]) + "\n"


def var(v: Var) -> str:
    """`%3: fixed[8] secret`"""
    return f"%{v.id}: {v.type} {v.visibility}"


def _body(block: Block, indent: str) -> Iterator[str]:
    for eqn in block.equations:
        yield from _equation(eqn, indent)
    yield f"{indent}return {_names(block.results)}".rstrip()


def _equation(eqn: Equation, indent: str) -> Iterator[str]:
    head = f"{indent}{', '.join(map(var, eqn.outputs))} = {eqn.op}"
    if eqn.inputs:
        head += f"({_names(eqn.inputs)})"
    if eqn.attrs:
        head += " {" + ", ".join(f"{name}={attr(value)}" for name, value in sorted(eqn.attrs.items())) + "}"
    tail = f" at {json.dumps(eqn.where)}" if eqn.where else ""
    for block in eqn.blocks:
        yield f"{head} [({', '.join(map(var, block.params))})"
        yield from _body(block, indent + "  ")
        head = indent + "]"
    yield head + tail


def _names(ids: tuple[int, ...]) -> str:
    return ", ".join(f"%{i}" for i in ids)


def attr(value: Any) -> str:
    """One attribute: JSON, tuples as lists; arrays as `array("<f8", [2], "base64")`, 0-d ones by value."""
    if isinstance(value, np.ndarray):
        data = base64.b64encode(value.tobytes()).decode()
        shown = f'array("{value.dtype.str}", {list(value.shape)}, "{data}")'
        return shown if value.ndim else f"{shown} /* {value.item()!r} */"
    return json.dumps(value)

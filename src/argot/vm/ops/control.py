"""Loops and branches. The machine runs them; their types are those of their blocks (`check.py`)."""

from __future__ import annotations

from typing import Any

from ..ir import TensorType
from .base import Op, attributes, is_bool, is_int


class Control(Op):
    """An operation with blocks."""

    blocks: int | None  # how many; None: two or more

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        raise NotImplementedError


class Loop(Control):
    """`length` rounds of a block.

    Operands: `consts` values seen by every round, `carries` that go from round to round, and arrays of which round i
    gets row i (from the end if `reverse`). The block returns the carries and one row for each further result. Results
    are the last carries and the rows, stacked.
    """

    name = "loop"
    arity = None
    attrs = attributes(length=is_int, consts=is_int, carries=is_int, reverse=is_bool)
    blocks = 1


class While(Control):
    """Rounds of the second block as long as the first returns true, which is public.

    Operands: `cond_consts` for the first block, `body_consts` for the second, carries for both.
    """

    name = "while"
    arity = None
    attrs = attributes(cond_consts=is_int, body_consts=is_int)
    blocks = 2


class Cond(Control):
    """The block that the first operand, a public i32, selects; it is moved into the range of blocks."""

    name = "cond"
    arity = None
    blocks = None

"""Where values go: from one party into shares, and what their owner promises about them."""

from __future__ import annotations

from typing import Any

from ..engine import Engine
from ..ir import TensorType
from ..values import Share
from .base import Array, Op, Operand, attributes, is_float, require


class ShareOp(Op):
    """A private value, now secret: its owner shares it. The machine runs it, since it spans two protocols."""

    name = "share"
    arity = 1
    cost = 1.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return types[0]

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return arrays[0]


class Within(Op):
    """x, of which the program's author promises low <= x <= high. A false promise gives wrong results."""

    name = "within"
    form = "elementwise"
    arity = 1
    attrs = attributes(low=is_float, high=is_float)

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        require(attrs["low"] <= attrs["high"], f"a range from {attrs['low']} to {attrs['high']}")
        require(types[0].dtype != "bool", "a range of booleans")
        return types[0]

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return arrays[0]

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return True

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        return e.lift(operands[0])

"""Numbers that nobody knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ProgramError
from ..engine import Engine
from ..ir import TensorType
from ..values import Share
from .base import Array, Op, Operand, attributes, is_int, is_ints, require

MOST_BITS = 62
"""Of a random integer, so that it and differences of two are numbers of the ring of 64."""


class Random(Op):
    """New random values: reals are multiples of the device's unit in [0, 1), integers lie in [0, 2^bits). `draw` tells
    one such equation of a program from the others."""

    name = "random"
    arity = 0
    draws = True
    attrs = attributes(dtype=lambda v: v in ("fixed", "i64", "bool"), shape=is_ints, bits=is_int, draw=is_int)
    cost = 16.0

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        require(all(n >= 0 for n in attrs["shape"]), f"a shape {attrs['shape']}")
        require(0 < attrs["bits"] <= MOST_BITS, f"{attrs['bits']} random bits", f"1 to {MOST_BITS}")
        return TensorType(attrs["dtype"], attrs["shape"])

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        raise ProgramError("random numbers in the clear", wanted="a secret: whoever computes them would know them")

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        shape, dtype = attrs["shape"], attrs["dtype"]
        if dtype == "bool":
            return e.p.random_bits(shape, 1)
        width = e.p.fraction_bits if dtype == "fixed" else min(attrs["bits"], e.p.k - 2)
        return await e.p.b2a(e.p.random_bits(shape, width))

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        return attrs["dtype"] == "bool"


def in_the_clear(dtype: str, shape: tuple[int, ...], bits: int) -> Array:
    """The like in plain JAX, from the operating system's randomness."""
    rng = np.random.default_rng()
    if dtype == "bool":
        return rng.random(shape) < 0.5
    if dtype == "fixed":
        return rng.random(shape)
    return rng.integers(0, 2**bits, shape)

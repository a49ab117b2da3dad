"""Real functions. On shares they are approximations with the domains and errors that `mpc/derived` documents.

`bound=b` promises |x| < 2^b. `general` chooses the function that is written once for all protocols, where the protocol
has its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ...mpc import derived
from ...mpc.derived.dispatch import Derived
from ...mpc.protocol import Arith
from .. import clear
from ..engine import Engine
from ..ir import TensorType
from ..values import Share
from .base import Array, Op, Operand, attributes, elementwise, is_bool, is_bound, is_limit


class _Function(Op):
    form = "elementwise"
    arity = 1
    attrs = attributes(bound=is_bound, general=is_bool)
    function: ClassVar[Derived[Arith]]

    @staticmethod
    def exact(x: Array) -> Array:
        """The function in the clear."""
        raise NotImplementedError

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, ("fixed",))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(self.exact(arrays[0]))

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        bound = e.ring_bound(attrs["bound"], operands[0].type)
        return await self.function.chosen(attrs["general"])(e.p, e.arith(operands[0]), bound=bound)


class Exp(_Function):
    """e^x. `low` and `high` promise low <= x <= high."""

    name = "exp"
    attrs = attributes(bound=is_bound, low=is_limit, high=is_limit, general=is_bool)
    function = derived.exp
    exact = staticmethod(clear.exp)
    cost = 10.0

    async def share(self, e: Engine, *operands: Operand, **attrs: Any) -> Share:
        bound = e.ring_bound(attrs["bound"], operands[0].type)
        return await self.function.chosen(attrs["general"])(
            e.p, e.arith(operands[0]), bound, attrs["low"], attrs["high"]
        )


class Log(_Function):
    """The natural logarithm."""

    name = "log"
    function = derived.log
    exact = staticmethod(clear.log)
    cost = 20.0


class Sigmoid(_Function):
    """1 / (1 + e^-x)."""

    name = "sigmoid"
    function = derived.sigmoid
    exact = staticmethod(clear.sigmoid)
    cost = 15.0


class Tanh(_Function):
    """The hyperbolic tangent."""

    name = "tanh"
    function = derived.tanh
    exact = staticmethod(clear.tanh)
    cost = 15.0


class Erf(_Function):
    """The error function."""

    name = "erf"
    function = derived.erf
    exact = staticmethod(clear.erf)
    cost = 15.0


class Sin(_Function):
    """The sine."""

    name = "sin"
    function = derived.sin
    exact = staticmethod(clear.sin)
    cost = 8.0


class Cos(_Function):
    """The cosine."""

    name = "cos"
    function = derived.cos
    exact = staticmethod(clear.cos)
    cost = 8.0


class Sqrt(_Function):
    """The square root; 0 below 0."""

    name = "sqrt"
    function = derived.sqrt
    cost = 20.0

    @staticmethod
    def exact(x: Array) -> Array:
        return np.sqrt(np.maximum(x, 0.0))


class Rsqrt(_Function):
    """1 / sqrt(x)."""

    name = "rsqrt"
    function = derived.rsqrt
    cost = 20.0

    @staticmethod
    def exact(x: Array) -> Array:
        return np.where(x > 0, 1.0 / np.sqrt(np.where(x > 0, x, 1.0)), np.inf)


class Reciprocal(_Function):
    """1 / x."""

    name = "reciprocal"
    function = derived.reciprocal
    cost = 20.0

    @staticmethod
    def exact(x: Array) -> Array:
        return np.divide(1.0, x)


class Log1p(Op):
    """log(1 + x), in the clear only: on shares programs say log(1 + x)."""

    name = "log1p"
    form = "elementwise"
    arity = 1
    clear_only = True

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, ("fixed",))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return clear.log1p(arrays[0])


class Expm1(Op):
    """e^x - 1, in the clear only: on shares programs say exp(x) - 1."""

    name = "expm1"
    form = "elementwise"
    arity = 1
    clear_only = True

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, ("fixed",))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return clear.expm1(arrays[0])


class Power(Op):
    """x^y, in the clear only: on shares programs say products, or exp(y log x)."""

    name = "power"
    form = "elementwise"
    arity = 2
    clear_only = True

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        return elementwise(types, ("fixed",))

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        return clear.power(*arrays)

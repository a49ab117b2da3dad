"""The form of an operation: its type, its meaning in the clear, its meaning on shares.

An operation is one final class, found by its `name` in the files of this folder. `clear` is its definition, over
NumPy arrays with float64 for reals; it also folds constants when programs are made. `share` computes the same on
shares of any protocol. Operands come as `Public` or `Shared`; at least one is shared. A `share` that never waits is
`local`: the machine then runs it at once, without a task.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np

from ...errors import ProgramError
from ...mpc.protocol import Arith, Bool
from ..ir import INTEGERS, TensorType
from ..values import Public, Share

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Shared:
    """An operand that is shared."""

    share: Share
    type: TensorType

    @property
    def arith(self) -> Arith:
        assert isinstance(self.share, Arith)
        return self.share

    @property
    def bool(self) -> Bool:
        assert isinstance(self.share, Bool)
        return self.share


Operand = Public | Shared


class Op:
    """One operation. Attributes are declared in `attrs` and reach every method by keyword."""

    name: ClassVar[str]
    arity: ClassVar[int | None] = None  # None: any number of operands, at least one
    attrs: ClassVar[Mapping[str, Callable[[Any], bool]]] = MappingProxyType({})
    public_operands: ClassVar[tuple[int, ...]] = ()  # these must be public
    clear_only: ClassVar[bool] = False  # no meaning on shares
    draws: ClassVar[bool] = False  # its result is new each time, and nobody knows it
    uses_orders: ClassVar[bool] = False  # operands may be orders
    form: ClassVar[Literal["elementwise", "move", ""]] = ""  # element by element; or only moves elements
    scaling: ClassVar[Literal["linear", "alike", "bilinear", ""]] = ""  # how a common factor of operands passes
    cost: ClassVar[float] = 0.0  # what one output element costs on shares, in elements sent

    def infer(self, *types: TensorType, **attrs: Any) -> TensorType:
        """The type of the result. Raises ProgramError where there is none."""
        raise NotImplementedError

    def clear(self, *arrays: Array, **attrs: Any) -> Array:
        """The result for public operands."""
        raise NotImplementedError

    async def share(self, e: Any, *operands: Operand, **attrs: Any) -> Share:
        """The result on shares of the protocol `e.p`."""
        raise NotImplementedError

    def is_local(self, *operands: Operand | None, **attrs: Any) -> bool:
        """Whether `share` never waits; shared operands come as None. Equal at all parties."""
        return False

    def price(self, shared: Sequence[bool], types: Sequence[TensorType], out: TensorType) -> float:
        """What the result costs on shares, in elements sent; for placing cuts."""
        return self.cost * out.size


# ---- attributes ---------------------------------------------------------------------------------------------------


def attributes(**valid: Callable[[Any], bool]) -> Mapping[str, Callable[[Any], bool]]:
    """The attributes of an operation: for each name, which values it may have."""
    return MappingProxyType(valid)


GENERAL = "general"  # of functions that a protocol may have its own way for: whether to take the general one
PROMISES = ("bound", "bound_x", "low", "high")  # what `ranges` may prove of operands; None where it did not
DEFAULTED = (*PROMISES, GENERAL)


def is_int(value: Any) -> bool:
    return type(value) is int and abs(value) < 2**48


def is_bound(value: Any) -> bool:
    return value is None or (type(value) is int and -1024 <= value <= 1024)


def is_bounds(value: Any) -> bool:
    """A bound for each operand."""
    return value is None or (type(value) is tuple and all(v is not None and is_bound(v) for v in value))


def is_limit(value: Any) -> bool:
    return value is None or (type(value) is float and abs(value) < 1e300)


def is_ints(value: Any) -> bool:
    return type(value) is tuple and all(map(is_int, value))


def is_bool(value: Any) -> bool:
    return type(value) is bool


def is_float(value: Any) -> bool:
    return type(value) is float and value == value


def is_text(value: Any) -> bool:
    return type(value) is str and len(value) < 200


def is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and not (value.dtype.kind == "f" and bool(np.isnan(value).any()))


# ---- types --------------------------------------------------------------------------------------------------------


def require(condition: bool, what: str, wanted: str | None = None) -> None:
    """ProgramError unless `condition`."""
    if not condition:
        raise ProgramError(what, wanted=wanted)


def elementwise(types: Sequence[TensorType], dtypes: Sequence[str] | None = None) -> TensorType:
    """The common type of operands of equal shape, where some may be 0-d."""
    shape = next((t.shape for t in types if t.shape), ())
    if not all(t.shape in ((), shape) for t in types):
        raise ProgramError(f"shapes differ: {', '.join(map(str, types))}", wanted="equal shapes, or scalars")
    if len({t.dtype for t in types}) != 1:
        raise ProgramError(f"dtypes differ: {', '.join(map(str, types))}", wanted="one dtype")
    if dtypes is not None:
        require(types[0].dtype in dtypes, f"dtype {types[0].dtype}", "one of " + ", ".join(dtypes))
    return TensorType(types[0].dtype, shape)


NUMBERS = (*INTEGERS, "fixed")


def whole(array: Array) -> bool:
    """Whether public reals are all integers small enough to multiply by without truncating."""
    if array.size and not float(array.flat[-1]).is_integer():  # most factors
        return False
    return bool(np.all(np.abs(array) < 2**16)) and bool(np.array_equal(np.rint(array), array))

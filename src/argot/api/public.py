"""`argot.public(x)`: an array that everybody may know."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..vm.lower import CAPTURED as SMALL
from ..vm.lower import PublicConstant


def public(x: Any, name: str = "") -> PublicConstant:
    """Declare that every party may know an array of numbers or booleans; the report lists it.

    The result is an argument of calls, or captured by a function that is traced.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise InputError(f"public({array.dtype})", wanted="an array of numbers or booleans")
    array = array.copy()
    array.setflags(write=False)
    return PublicConstant(array, name)


def is_large(x: Any) -> bool:
    """True for arrays and tables of more than `SMALL` elements (NumPy, JAX, pandas, polars, torch)."""
    shape = getattr(x, "shape", None)
    if isinstance(x, PublicConstant) or not isinstance(shape, tuple):
        return False
    size = 1
    for n in shape:
        if not isinstance(n, int | np.integer):
            return False
        size *= int(n)
    return size > SMALL


__all__ = ["SMALL", "PublicConstant", "is_large", "public"]

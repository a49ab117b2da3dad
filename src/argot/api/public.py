"""`argot.public(x)`: an array that everybody may know."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from argot._core import prf

from ..errors import InputError

# Arrays up to this size pass as they are: steps, sizes, small tables of coefficients.
SMALL = 64

_declared = threading.local()


class PublicArray:
    """An array declared public. It is an argument of a call, or captured by a traced function."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.array, dtype=dtype)

    def __repr__(self) -> str:
        return f"public({self.array.dtype}[{', '.join(map(str, self.array.shape))}])"

    def __reduce__(self) -> Any:
        return _restore, (self.array,)


def public(x: Any) -> Any:
    """Declare that every party may know an array. The report lists it.

    Inside a traced function the array comes back as it is, and is taken down as public.
    """
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise InputError(f"public({array.dtype})", wanted="an array of numbers or booleans")
    array = array.copy()
    array.setflags(write=False)
    if getattr(_declared, "hashes", None) is not None:
        return _restore(array)
    return PublicArray(array)


def _restore(array: np.ndarray) -> Any:
    """What a frozen public array becomes when it is thawed: while a function is traced, the array itself."""
    hashes = getattr(_declared, "hashes", None)
    if hashes is None:
        return PublicArray(array)
    hashes.add(fingerprint(array))
    return array


@contextmanager
def collecting() -> Iterator[set[bytes]]:
    """While this is open (in this thread), thawed public arrays are plain arrays; their fingerprints are kept."""
    before = getattr(_declared, "hashes", None)
    _declared.hashes = set()
    try:
        yield _declared.hashes
    finally:
        _declared.hashes = before


def fingerprint(array: Any) -> bytes:
    """Of the values, whatever the dtype: tracing may widen an array."""
    array = np.asarray(array)
    shape = ",".join(map(str, array.shape)).encode()
    return bytes(prf.hash(shape + b":" + np.ascontiguousarray(array, np.float64).tobytes()))


def is_large(x: Any) -> bool:
    """True for arrays and tables of more than `SMALL` elements (NumPy, JAX, pandas, polars, torch)."""
    shape = getattr(x, "shape", None)
    if isinstance(x, PublicArray) or not isinstance(shape, tuple):
        return False
    size = 1
    for n in shape:
        if not isinstance(n, int | np.integer):
            return False
        size *= int(n)
    return size > SMALL

"""Arrays that the user declared public: the only large ones that a traced function may bring along."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from ...errors import InputError
from ..ir import ir_dtype

Array = np.ndarray[Any, np.dtype[Any]]


class PublicConstant(np.ndarray[Any, np.dtype[Any]]):
    """An array that all parties may know; the report lists it by name and shape.

    It is a NumPy array, so JAX takes it wherever it takes one. Its slices, transposes and casts are public too; what
    is computed with it by NumPy is an ordinary array, since the other operand need not be public.
    """

    name: str

    def __new__(cls, array: Any, name: str = "") -> PublicConstant:
        found = np.array(array)
        ir_dtype(found.dtype)
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise InputError("a public constant with NaN or infinite values", wanted="finite numbers")
        public = found.view(cls)
        public.name = name or f"public{list(found.shape)}"
        public.setflags(write=False)
        return public

    @property
    def array(self) -> Array:
        """The same as an ordinary array."""
        return np.asarray(self)

    def __array_finalize__(self, source: Any) -> None:
        self.name = getattr(source, "name", "")
        with _LOCK:
            _LIVE[id(self)] = self
        if _MET.active is not None:
            _MET.active.append(self)

    def __array_wrap__(self, array: Array, context: Any = None, return_scalar: bool = False) -> Any:
        plain = np.asarray(array)
        return plain[()] if return_scalar else plain

    def __reduce__(self) -> Any:
        return PublicConstant, (np.asarray(self), self.name)

    def __repr__(self) -> str:
        return f"<public {self.name} {self.dtype}{list(self.shape)}>"


_LOCK = threading.RLock()
_LIVE: WeakValueDictionary[int, PublicConstant] = WeakValueDictionary()


class _Met(threading.local):
    """Public constants made while this thread traces, kept alive until it has finished."""

    def __init__(self) -> None:
        self.active: list[PublicConstant] | None = None


_MET = _Met()


@contextmanager
def watching() -> Iterator[None]:
    """While a function is traced: slices it makes of public constants are known when the trace is read."""
    outer, _MET.active = _MET.active, []
    try:
        yield
    finally:
        _MET.active = outer


def name_of(array: Array) -> str | None:
    """The name under which an array was declared public, or None: the same memory, else the same contents."""
    with _LOCK:
        alike = [
            known for known in _LIVE.values() if known.shape == array.shape and known.dtype.kind == array.dtype.kind
        ]
    for same in (_shares_memory, _has_contents):
        for known in alike:
            if same(np.asarray(known), array):
                return known.name
    return None


def _shares_memory(known: Array, array: Array) -> bool:
    return known.__array_interface__["data"] == array.__array_interface__["data"] and known.strides == array.strides


def _has_contents(known: Array, array: Array) -> bool:
    return bool(np.array_equal(known.astype(array.dtype), array))

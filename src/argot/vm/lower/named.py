"""Kernels for functions that JAX traces as one named call, where they beat the body.

A kernel is a public function here with the name of the call; it returns a list of results, or None to have the body
interpreted after all.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

from ..ir import PUBLIC
from .builder import Builder, Ref


def find(name: str) -> Callable[..., list[Ref] | None] | None:
    """The kernel for calls of that name."""
    kernel = globals().get(name)
    own = isinstance(kernel, FunctionType) and kernel.__module__ == __name__ and kernel is not find
    return kernel if own and not name.startswith("_") else None


def floor_divide(b: Builder, x: Ref, y: Ref) -> list[Ref] | None:
    """`x // y` of shared reals: the floor of the quotient. The body divides remainders, which shares do not have."""
    if x.visibility == PUBLIC and y.visibility == PUBLIC:
        return None
    return [_quotient(b, *_reals(b, x, y))] if "fixed" in (x.type.dtype, y.type.dtype) else None


def remainder(b: Builder, x: Ref, y: Ref) -> list[Ref] | None:
    """`x % y` of shared reals: x - y floor(x / y)."""
    if x.visibility == PUBLIC and y.visibility == PUBLIC:
        return None
    if "fixed" not in (x.type.dtype, y.type.dtype):
        return None
    x, y = _reals(b, x, y)
    return [b.emit("sub", x, b.settle(b.emit("mul", _quotient(b, x, y), y)))]


def _reals(b: Builder, x: Ref, y: Ref) -> tuple[Ref, Ref]:
    shape = x.type.shape or y.type.shape
    wide = [v if v.type.shape == shape else b.emit("broadcast", v, shape=shape, dims=()) for v in (x, y)]
    return b.emit("convert", wide[0], dtype="fixed"), b.emit("convert", wide[1], dtype="fixed")


def _quotient(b: Builder, x: Ref, y: Ref) -> Ref:
    """floor(x / y). The quotient of a multiple of y may come out one unit too low: half a step of 2^-10 helps it."""
    return b.emit("floor", b.emit("add", b.emit("div", x, y), b.constant(2.0**-11, x.type)))

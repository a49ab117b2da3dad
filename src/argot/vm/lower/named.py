"""Kernels for functions of JAX that it traces as one named call, where they beat the body.

A kernel is a public function here with the name of the call; it returns a list of results, or None to have the body
interpreted after all.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType

import numpy as np

from ..ir import PUBLIC
from .builder import Builder, Ref


def find(name: str) -> Callable[..., list[Ref] | None] | None:
    """The kernel for calls of that name."""
    kernel = globals().get(name)
    own = isinstance(kernel, FunctionType) and kernel.__module__ == __name__ and kernel not in (find, divided, wrapped)
    return kernel if own and not name.startswith("_") else None


def floor_divide(b: Builder, x: Ref, y: Ref) -> list[Ref] | None:
    """`x // y`: of shared reals the floor of the quotient; of integers exact, -1 or -2 for y = 0 as JAX has it."""
    if x.visibility == PUBLIC and y.visibility == PUBLIC:
        return None
    x, y = _alike(b, x, y)
    if x.type.dtype == "fixed":
        return [_quotient(b, x, y)]
    quotient, left, wrong, none = _floored(b, x, y)
    wrong = b.emit("and", b.emit("not", b.emit("eq", left, _zero(b, x))), b.emit("or", wrong, none))
    return [b.emit("sub", quotient, b.emit("convert", wrong, dtype=x.type.dtype))]


def remainder(b: Builder, x: Ref, y: Ref) -> list[Ref] | None:
    """`x % y`, with y's sign: x - y floor(x / y); of integers exact, 0 for y = 0 as JAX has it."""
    if x.visibility == PUBLIC and y.visibility == PUBLIC:
        return None
    x, y = _alike(b, x, y)
    if x.type.dtype == "fixed":
        return [b.emit("sub", x, b.settle(b.emit("mul", _quotient(b, x, y), y)))]
    _, left, wrong, none = _floored(b, x, y)
    wrong = b.emit("and", b.emit("not", b.emit("eq", left, _zero(b, x))), wrong)
    found = b.emit("add", left, b.emit("select", wrong, y, _zero(b, x)))
    return [b.emit("select", none, _zero(b, x), found)]


def _floored(b: Builder, x: Ref, y: Ref) -> tuple[Ref, Ref, Ref, Ref]:
    """The quotient rounded towards zero, what is left, whether the signs differ, and whether y = 0."""
    x, y = wrapped(b, x), wrapped(b, y)
    quotient, left = divided(b, x, y)
    differ = b.emit("xor", b.emit("lt", x, _zero(b, x)), b.emit("lt", y, _zero(b, y)))
    return quotient, left, differ, b.emit("eq", y, _zero(b, y))


def divided(b: Builder, x: Ref, y: Ref) -> tuple[Ref, Ref]:
    """Quotient, rounded towards zero, and remainder of integers: it lies between 0 and x, x where y = 0."""
    quotient, known = b.emit("int_div", x, y), b.interval(x)
    left = b.emit("sub", x, b.emit("mul", quotient, y))
    if np.isfinite(known.magnitude):
        left = b.emit("within", left, low=min(known.low, 0.0), high=max(known.high, 0.0))
    return quotient, left


def wrapped(b: Builder, x: Ref) -> Ref:
    """A shared integer wrapped to its own width, unless it is known to be within it, or the ring has no more."""
    info = np.iinfo(x.type.numpy)
    known = b.interval(x)
    if x.visibility == PUBLIC or info.bits == 64 or (info.min <= known.low and known.high <= info.max):
        return x
    return b.emit("bit_and", x, b.constant(np.asarray(-1).astype(x.type.numpy), x.type))


def _zero(b: Builder, like: Ref) -> Ref:
    return b.constant(0, like.type)


def _alike(b: Builder, x: Ref, y: Ref) -> tuple[Ref, Ref]:
    """Both with one shape and dtype, as the body would make them."""
    shape = np.broadcast_shapes(x.type.shape, y.type.shape)
    dtype = next((v.type.dtype for v in (x, y) if v.type.dtype == "fixed"), x.type.dtype)
    first, second = (
        b.emit("broadcast", v, shape=shape, dims=tuple(range(len(shape) - len(v.type.shape), len(shape))))
        for v in (x, y)
    )
    return b.emit("convert", first, dtype=dtype), b.emit("convert", second, dtype=dtype)


def _quotient(b: Builder, x: Ref, y: Ref) -> Ref:
    """floor(x / y). The quotient of a multiple of y may come out one unit too low: half a step of 2^-10 helps it."""
    return b.emit("floor", b.emit("add", b.emit("div", x, y), b.constant(2.0**-11, x.type)))

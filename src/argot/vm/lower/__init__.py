"""From a JAX function to a program: `trace(fn, args) -> Traced`. The driver's side; agents do not need it.

jax_adapter.py  the only contact with JAX
interpret.py    walks a jaxpr
rules/          one function for each primitive, found by name
named.py        kernels for named calls
complex.py      complex numbers, as pairs
builder.py      equations, constants, delayed factors, hoisting
simplify.py     identities and cheaper forms
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from .. import ops, ranges
from ..check import check
from ..ir import NUMPY, SECRET, Program, TensorType, Visibility, ir_dtype, renumber
from ..ops.base import GENERAL
from ..visibility import place
from . import jax_adapter
from .builder import CAPTURED as CAPTURED
from .builder import Builder, Ref
from .complex import only_reals
from .interpret import interpret
from .public import PublicConstant as PublicConstant
from .public import watching

GENERAL_FUNCTIONS = tuple(name for name, op in ops.ALL.items() if GENERAL in op.attrs)
"""Functions that a protocol may have its own way for."""


@dataclass(frozen=True)
class Spec:
    """An input: shape, dtype (NumPy's names) and who knows it; and its range, as far as its owner has checked it."""

    shape: tuple[int, ...]
    dtype: str = "float64"
    visibility: Visibility = SECRET
    name: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Traced:
    """A program, and the trees of its arguments and results.

    `inputs[i]` is the position of parameter i among the leaves of `(args, kwargs)`; `out_tree` unflattens results.
    """

    program: Program
    in_tree: Any
    out_tree: Any
    inputs: tuple[int, ...]


def trace(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    general: Iterable[str] = (),
) -> Traced:
    """The program of `fn(*args, **kwargs)`.

    Leaves of the arguments that are `Spec` become inputs; `PublicConstant` and arrays of up to 64 elements become
    constants; everything else is static Python. `general` names functions of `GENERAL_FUNCTIONS` that shall be computed
    in the way that is written once for all protocols.

    Raises:
        TraceError: fn raised; the user's exception is its cause.
        UnsupportedError: a primitive has no rule, or a secret stands where the index or condition must be public.
        ProgramError: an array of more than 64 elements was captured without being declared public.
    """
    leaves, tree = jax_adapter.flatten((tuple(args), dict(kwargs or {})), _is_leaf)
    inputs = tuple(i for i, leaf in enumerate(leaves) if isinstance(leaf, Spec))
    specs = [leaves[i] for i in inputs]

    def flat(*values: Any) -> Any:
        filled = list(leaves)
        for i, value in zip(inputs, values, strict=True):
            filled[i] = value
        a, k = tree.unflatten(filled)
        return fn(*a, **k)

    flat.__name__ = getattr(fn, "__name__", "function")
    with watching():
        jaxpr, out_tree = jax_adapter.make(flat, [(s.shape, NUMPY[ir_dtype(s.dtype)]) for s in specs])
        b = Builder(general=frozenset(general))
        params = [_parameter(b, s) for s in specs]
        results = [b.operand(x) for x in only_reals(b, interpret(b, jaxpr, params), "a result")]
    title = name or flat.__name__
    names = tuple(s.name or f"input{i}" for i, s in enumerate(specs))
    return Traced(_finish(b, title, names, results), tree, out_tree, inputs)


def within(x: Any, low: float, high: float) -> Any:
    """x, with the promise that low <= x <= high: comparisons and approximations of it then cost less.

    Works in plain JAX too, under grad, vmap and jit. A false promise gives wrong results, not errors.
    """
    low, high = float(low), float(high)
    if not low <= high:
        raise InputError(f"a range from {low} to {high}", wanted="low <= high")
    return jax_adapter.bind_within(x, low, high)


def secret_random(dtype: str, shape: Sequence[int], bits: int) -> Any:
    """New numbers that nobody knows: "fixed" in [0, 1), "i64" in [0, 2^bits), "bool". See `argot.random`."""
    return jax_adapter.bind_random(dtype, shape, bits)


def random_order(n: int) -> Any:
    """An order of n rows that nobody knows. See `argot.order`."""
    return jax_adapter.bind_random_order(n)


def sort_order(keys: Sequence[Any]) -> Any:
    """The stable order of rows by columns (n,), the first key first. See `argot.order`."""
    return jax_adapter.bind_sort_order(keys)


def follow(order: Any, x: Any, inverse: bool = False) -> Any:
    """The rows of x, (n, ...), in an order of one of these two, or back from it."""
    return jax_adapter.bind_follow(order, x, inverse)


def jax_module() -> Any:
    """The module `jax`, imported when it is needed. Raises MissingExtra."""
    return jax_adapter.jax()


def _parameter(b: Builder, s: Spec) -> Ref:
    """An input, within its range."""
    x = b.parameter(TensorType(ir_dtype(s.dtype), tuple(s.shape)), s.visibility)
    if s.low is s.high is None:
        return x
    low, high = -math.inf if s.low is None else float(s.low), math.inf if s.high is None else float(s.high)
    return b.emit("within", x, low=low, high=high)


def _is_leaf(value: Any) -> bool:
    return isinstance(value, Spec | PublicConstant)


def _finish(b: Builder, title: str, names: tuple[str, ...], results: list[Ref]) -> Program:
    block, _ = b.close(b.scope, results)
    program = Program(title, names, block)
    program = renumber(ranges.annotate(place(renumber(program))))
    check(program)
    return program

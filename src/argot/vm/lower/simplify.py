"""Equations that need not be made: identities, and forms that cost less on shares.

A rule gets the builder, the operands and the attributes, and returns the result, or None if nothing is simpler.
Rules are found by the name of the operation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..ir import PUBLIC

if TYPE_CHECKING:
    from .builder import Builder, Ref


def simplify(b: Builder, op: str, refs: tuple[Ref, ...], attrs: Mapping[str, Any]) -> Ref | None:
    """A value equal to `op(refs)` that needs no such equation, or None."""
    rule = _RULES.get(op)
    return rule(b, *refs, **attrs) if rule else None


def _same_shape(x: Ref, *others: Ref) -> bool:
    """Whether x has the shape of the result."""
    return all(y.type.shape in ((), x.type.shape) for y in others)


def _add(b: Builder, x: Ref, y: Ref) -> Ref | None:
    if y.is_uniform(0) and _same_shape(x, y):
        return x
    if x.is_uniform(0) and _same_shape(y, x):
        return y
    return None


def _sub(b: Builder, x: Ref, y: Ref) -> Ref | None:
    if y.is_uniform(0) and _same_shape(x, y):
        return x
    if x.is_uniform(0) and _same_shape(y, x):
        return b.emit("neg", y)
    return None


def _neg(b: Builder, x: Ref) -> Ref | None:
    op, operands, _ = b.producer(x)
    if op == "neg" and x.scale == 1.0:
        return operands[0]
    if op == "sub" and operands[0].type == operands[1].type == x.type and x.scale == 1.0:
        return b.emit("sub", operands[1], operands[0])
    return None


def _mul(b: Builder, x: Ref, y: Ref) -> Ref | None:
    if x.value is not None:
        x, y = y, x
    c = y.uniform
    if c is not None and _same_shape(x, y):
        if c == 1:
            return x
        if c == 0:
            return b.constant(0, x.type)
        if x.type.dtype == "fixed" and x.value is None and x.visibility != PUBLIC:
            return b.scaled(x, float(c))
    return _masked(b, x, y) or _masked(b, y, x)


def _square(b: Builder, x: Ref) -> Ref | None:
    """The square of a root, where that is not of a negative number."""
    op, operands, _ = b.producer(x)
    return operands[0] if op == "sqrt" and x.scale == 1.0 and b.interval(operands[0]).low >= 0 else None


def _masked(b: Builder, x: Ref, y: Ref) -> Ref | None:
    """x * number(bit) as a choice: cheaper than a product."""
    op, operands, _ = b.producer(y)
    bit = operands[0] if op == "convert" else None
    if bit is None or bit.type.dtype != "bool" or x.type.shape != y.type.shape or bit.visibility == PUBLIC:
        return None
    chosen = b.emit("select", bit, x, b.constant(0, x.type))
    return chosen if y.scale == 1.0 else b.scaled(chosen, y.scale)


def _div(b: Builder, x: Ref, y: Ref, **promises: Any) -> Ref | None:
    c = y.uniform
    if c is not None and c != 0 and _same_shape(x, y):
        return b.emit("mul", x, b.constant(1.0 / c, y.type))
    if x.is_uniform(1) and _same_shape(y, x) and y.visibility != PUBLIC:
        return b.emit("reciprocal", y)
    op, operands, attrs = b.producer(y)
    if op == "broadcast" and y.visibility != PUBLIC and 4 * operands[0].type.size <= y.type.size and y.scale == 1.0:
        return _div_by_repeated(b, x, operands[0], attrs)
    return None


def _div_by_repeated(b: Builder, x: Ref, y: Ref, attrs: Mapping[str, Any]) -> Ref | None:
    """x / broadcast(y) as a product with broadcast(1 / y), where |x| is so small that the error stays as it was."""
    if b.interval(x).magnitude > 2 or x.type.shape != attrs["shape"]:
        return None
    inverse = b.emit("reciprocal", y)
    return b.emit("mul", x, b.emit("broadcast", inverse, **attrs))


def _convert(b: Builder, x: Ref, dtype: str) -> Ref | None:
    return x if dtype == x.type.dtype else None


def _select(b: Builder, c: Ref, x: Ref, y: Ref) -> Ref | None:
    if c.uniform is not None and x.type == y.type:
        return x if c.uniform else y
    if x.value is None and x is y:
        return x
    p, q = x.uniform, y.uniform
    full = c.type.shape in (x.type.shape, y.type.shape)
    if p is None or q is None or c.visibility == PUBLIC or not full:
        return None
    if x.type.dtype == "bool":
        return c if p and not q else b.emit("not", c) if q and not p else b.constant(p, c.type)
    if (p, q) in ((1, 0), (0, 1)):
        return b.emit("convert", c if p else b.emit("not", c), dtype=x.type.dtype)
    return None


def _reshape(b: Builder, x: Ref, shape: tuple[int, ...]) -> Ref | None:
    return x if shape == x.type.shape else None


def _transpose(b: Builder, x: Ref, axes: tuple[int, ...]) -> Ref | None:
    return x if axes == tuple(range(len(axes))) else None


def _broadcast(b: Builder, x: Ref, shape: tuple[int, ...], dims: tuple[int, ...]) -> Ref | None:
    if shape == x.type.shape:
        return x
    return b.emit("reshape", x, shape=shape) if _size(shape) == x.type.size else None


def _slice(b: Builder, x: Ref, starts: Any, limits: Any, strides: Any) -> Ref | None:
    whole = all(a == 0 and s == 1 for a, s in zip(starts, strides, strict=True)) and limits == x.type.shape
    return x if whole else None


def _concat(b: Builder, *refs: Ref, axis: int) -> Ref | None:
    kept = tuple(x for x in refs if x.type.shape[axis])
    if len(kept) == 1:
        return kept[0]
    return b.emit("concat", *kept, axis=axis) if kept and len(kept) < len(refs) else None


def _reduce(b: Builder, x: Ref, axes: tuple[int, ...], **attrs: Any) -> Ref | None:
    return x if not axes else None


def _over_nothing(neutral: int) -> Callable[..., Ref | None]:
    """Reductions of no elements give the neutral one."""

    def rule(b: Builder, x: Ref, axes: tuple[int, ...]) -> Ref | None:
        if any(x.type.shape[a] == 0 for a in axes):
            kept = [n for a, n in enumerate(x.type.shape) if a not in axes]
            return b.constant(neutral, x.type.with_shape(kept))
        return _reduce(b, x, axes)

    return rule


def _reduce_sum(b: Builder, x: Ref, axes: tuple[int, ...]) -> Ref | None:
    """The sum of products as a matrix product: one truncation (and message) for each sum, not each product."""
    if not axes:
        return x
    op, operands, _ = b.producer(x)
    if op not in ("mul", "square") or x.type.dtype != "fixed" or x.visibility == PUBLIC or x.value is not None:
        return None
    y, z = operands if op == "mul" else (*operands, *operands)
    if y.type != x.type or z.type != x.type or y.value is not None or z.value is not None:
        return None
    keep = tuple(a for a in range(len(x.type.shape)) if a not in axes)
    kept = tuple(x.type.shape[a] for a in keep)
    outer, inner = _size(kept), x.type.size // max(_size(kept), 1)
    lead = (outer,) if keep else ()
    rows = b.emit("transpose", y, axes=keep + axes)
    columns = b.emit("transpose", z, axes=keep + axes)
    product = b.emit(
        "matmul",
        b.emit("reshape", rows, shape=(*lead, 1, inner)),
        b.emit("reshape", columns, shape=(*lead, inner, 1)),
    )
    result = b.emit("reshape", product, shape=kept)
    return result if x.scale == 1.0 else b.scaled(result, x.scale)


def _size(shape: tuple[int, ...]) -> int:
    n = 1
    for length in shape:
        n *= length
    return n


def _exp(b: Builder, x: Ref, **promises: Any) -> Ref | None:
    """The derivative of softplus as JAX writes it, exp(a - softplus(a)), is sigmoid(a)."""
    op, operands, _ = b.producer(x)
    if x.scale != 1.0 or op not in ("sub", "neg"):
        return None
    a = _softplus_of(b, operands[-1])
    if a is None or (op == "sub" and operands[0].id != a.id):
        return None
    return b.emit("sigmoid", a if op == "sub" else b.emit("neg", a))


def _softplus_of(b: Builder, x: Ref) -> Ref | None:
    """a, if x is softplus(a)."""
    op, operands, _ = b.producer(x)
    if op != "add" or {b.producer(v)[0] for v in operands} != {"select", "log"}:
        return None
    for top in operands:
        kind, parts, _ = b.producer(top)
        if kind == "select" and parts[1].value is None and b.settle(_softplus(b, parts[1])).id == x.id:
            return parts[1]
    return None


def _softplus(b: Builder, a: Ref) -> Ref:
    """max(a, 0) + log(exp(-|a|) + 1), as the rules make it; found again where it exists, dropped where not."""
    zero, one = b.constant(0.0, a.type), b.constant(1.0, a.type)
    top = b.emit("select", b.emit("lt", b.emit("neg", a), zero), a, zero)
    below = b.emit("neg", magnitude(b, a, top))
    return b.emit("add", top, b.emit("log", b.emit("add", b.emit("exp", below), one)))


def magnitude(b: Builder, x: Ref, top: Ref) -> Ref:
    """|x|, given top = max(x, 0): 2 top - x, and known to be positive."""
    twice = b.settle(b.emit("mul", top, b.constant(2, x.type)))
    return b.emit("within", b.emit("sub", twice, x), low=0.0, high=math.inf)


_RULES: dict[str, Any] = {
    "add": _add,
    "sub": _sub,
    "neg": _neg,
    "mul": _mul,
    "div": _div,
    "convert": _convert,
    "select": _select,
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast": _broadcast,
    "slice": _slice,
    "concat": _concat,
    "exp": _exp,
    "square": _square,
    "reduce_sum": _reduce_sum,
    "reduce_max": _reduce,
    "reduce_min": _reduce,
    "reduce_prod": _over_nothing(1),
    "reduce_and": _over_nothing(1),
    "reduce_or": _over_nothing(0),
}

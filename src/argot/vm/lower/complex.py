"""Complex numbers. Programs have none: while a function is lowered, a complex value is a pair of real ones.

A kernel here is a public function with the name of a primitive, for operands of which one is `Complex`; its examples
are run by the conformance suite, as those of the rules are. Primitives that move or add elements need no kernel: they
take their ordinary rule once for each part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from ...errors import ProgramError, UnsupportedError
from ..ir import TensorType, ir_dtype
from . import rules
from .builder import CAPTURED, Array, Builder, Ref
from .example import bits, example, reals


@dataclass(frozen=True, eq=False, slots=True)
class Complex:
    """A pair of reals of one shape, and the user's line that made it."""

    real: Ref
    imag: Ref
    where: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.real.type.shape


Value = Ref | Complex

# Primitives that treat the parts alike, each for itself.
_EACH_PART = frozenset(
    ["add", "add_any", "broadcast_in_dim", "concatenate", "copy", "copy_p", "cumsum", "device_put", "dynamic_slice",
     "dynamic_update_slice", "expand_dims", "gather", "neg", "optimization_barrier", "pad", "reduce_precision",
     "reduce_sum", "reshape", "rev", "scatter", "scatter_add", "scatter_sub", "select_n", "slice", "split", "squeeze",
     "stack", "stop_gradient", "sub", "tile", "transpose"]
)  # fmt: skip
_RULES = frozenset(["complex", "conj", "fft", "imag", "real"])


def find(primitive: str) -> Callable[..., Any] | None:
    """What a primitive does where one of its operands, or its result, is complex; None if that is not known."""
    name = primitive.replace("-", "_")
    if name in _EACH_PART:
        return partial(_each_part, rules.every()[name])
    return rules.find(name) if name in _RULES else every().get(name)


def every() -> dict[str, Callable[..., Any]]:
    """All kernels by their primitives."""
    return {
        name.removesuffix("_"): value
        for name, value in globals().items()
        if isinstance(value, FunctionType) and value.__module__ == __name__ and hasattr(value, "examples")
    }


def supported() -> list[str]:
    """The primitives that take complex numbers."""
    return sorted({*every(), *_EACH_PART, *_RULES})


def is_complex(dtype: str) -> bool:
    """Whether JAX's name of a dtype is that of complex numbers."""
    return dtype.startswith("complex")


def capture(b: Builder, value: Any) -> Complex:
    """A complex array that the function brought along. Raises ProgramError if it is large."""
    array = np.asarray(value)
    if array.size > CAPTURED:
        raise ProgramError(
            f"the function captures an array {array.dtype.name}{list(array.shape)}",
            wanted=f"at most {CAPTURED} elements: constants become public, part of the program",
            todo="say that its parts are public: jax.lax.complex(argot.public(z.real), argot.public(z.imag))",
            where=b.where or None,
        )
    return constant(b, array)


def constant(b: Builder, array: Array) -> Complex:
    """A complex constant."""
    return Complex(b.constant(array.real), b.constant(array.imag), b.where)


def known(x: Value) -> Array | None:
    """The array that a constant is."""
    if isinstance(x, Complex):
        real, imag = known(x.real), known(x.imag)
        return None if real is None or imag is None else real + 1j * imag
    return None if x.value is None else np.broadcast_to(np.asarray(x.value), x.type.shape)


def only_reals(b: Builder, values: Iterable[Value], what: str) -> list[Ref]:
    """The values, none of which is complex. `what` says what they are, for the error."""
    found: list[Ref] = []
    for x in values:
        if isinstance(x, Complex):
            raise UnsupportedError(
                f"a complex number as {what}",
                wanted="real arrays: programs compute with pairs of them",
                todo="take z.real and z.imag; jax.lax.complex(real, imag) puts them together again",
                where=x.where or b.where or None,
            )
        found.append(x)
    return found


def real_part(x: Value) -> Ref:
    return x.real if isinstance(x, Complex) else x


def imaginary_part(b: Builder, x: Value) -> Ref:
    return x.imag if isinstance(x, Complex) else b.constant(0.0, TensorType("fixed", x.type.shape))


def _each_part(rule: Callable[..., Any], b: Builder, *operands: Value, **params: Any) -> Any:
    parts = [
        rule(b, *(getattr(x, part) if isinstance(x, Complex) else x for x in operands), **params)
        for part in ("real", "imag")
    ]
    if isinstance(parts[0], list):
        return [Complex(x, y, b.where) for x, y in zip(*parts, strict=True)]
    return Complex(parts[0], parts[1], b.where)


def _is_real(*values: Complex) -> bool:
    return any(x.imag.is_uniform(0) for x in values)


def _do(b: Builder, primitive: str, *refs: Ref, **params: Any) -> Ref:
    """A primitive of reals, by its rule."""
    found: Ref = rules.every()[primitive](b, *refs, **params)
    return found


def _stack(b: Builder, *refs: Ref) -> Ref:
    """Joined along a new first axis."""
    return b.emit("concat", *(b.emit("reshape", x, shape=(1, *x.type.shape)) for x in refs), axis=0)


def _wide(b: Builder, x: Complex, shape: tuple[int, ...]) -> Complex:
    """Repeated to a shape."""
    dims = tuple(range(len(shape) - len(x.shape), len(shape)))
    real, imag = (b.emit("broadcast", v, shape=shape, dims=dims) for v in (x.real, x.imag))
    return Complex(real, imag, b.where)


# ---- arithmetic -----------------------------------------------------------------------------------------------------


@example(lambda J, x, y: (J.lax.complex(x, y) * J.lax.complex(y, x - 1)).imag, reals(2, 3), reals(2, 3))
@example(lambda J, x, y: (J.lax.complex(x, y) * (2 - 0.5j)).real, reals(5), reals(5))
@example(lambda J, x, y: (J.lax.complex(x, y) * J.jnp.array([1j, 2.0, 1 - 1j])).imag, reals(2, 3), reals(2, 3))
@example(lambda J, x, y: (x * J.lax.complex(x, y)).imag, reals(5), reals(5))
def mul(b: Builder, x: Complex, y: Complex, **_: Any) -> Complex:
    """x * y: both parts as one matrix product, so that each is truncated once."""
    if _is_real(x, y):
        x, y = (x, y) if _is_real(y) else (y, x)
        return Complex(b.emit("mul", x.real, y.real), b.emit("mul", x.imag, y.real), b.where)
    shape = np.broadcast_shapes(x.shape, y.shape)
    x, y = _wide(b, x, shape), _wide(b, y, shape)
    n = math.prod(shape)
    columns = _stack(b, y.real, y.imag, b.emit("neg", y.imag), y.real)
    left = b.emit("transpose", b.emit("reshape", _stack(b, x.real, x.imag), shape=(2, 1, n)), axes=(2, 1, 0))
    right = b.emit("transpose", b.emit("reshape", columns, shape=(2, 2, n)), axes=(2, 0, 1))
    return halves(b, b.emit("reshape", b.emit("matmul", left, right), shape=(n, 2)), shape)


def halves(b: Builder, x: Ref, shape: Sequence[int]) -> Complex:
    """The first half of the last axis as real parts, the second as imaginary ones."""
    rank, n = len(x.type.shape), x.type.shape[-1] // 2
    parts = []
    for start in (0, n):
        starts, limits = (*(0,) * (rank - 1), start), (*x.type.shape[:-1], start + n)
        part = b.emit("slice", x, starts=starts, limits=limits, strides=(1,) * rank)
        parts.append(b.emit("reshape", part, shape=tuple(shape)))
    return Complex(parts[0], parts[1], b.where)


@example(lambda J, x, y: J.lax.square(J.lax.complex(x, y)).imag, reals(5), reals(5))
def square(b: Builder, x: Complex, **_: Any) -> Complex:
    """x * x."""
    return mul(b, x, x)


@example(lambda J, x, y: (J.lax.complex(x, y) ** 3).real, reals(5, low=-2, high=2), reals(5, low=-2, high=2))
@example(
    lambda J, x, y: (J.lax.complex(x, y) ** -2).imag, reals(5, low=1), reals(5, low=-2, high=2), rtol=1e-3, atol=1e-3
)
def integer_pow(b: Builder, x: Complex, *, y: int, **_: Any) -> Complex:
    """x to a whole power, by squaring; negative ones by a division."""
    one = Complex(b.constant(1.0, x.real.type), b.constant(0.0, x.real.type))
    if y < 0:
        return div(b, one, integer_pow(b, x, y=-y))
    result = one
    while y:
        if y % 2:
            result = mul(b, x, result)
        x = mul(b, x, x) if y > 1 else x
        y //= 2
    return result


@example(
    lambda J, x, y: (J.lax.complex(x, y) / J.lax.complex(y, x)).imag, reals(9, low=0.5), reals(9), rtol=1e-3, atol=1e-3
)
@example(lambda J, x, y: (J.lax.complex(x, y) / 4).imag, reals(5), reals(5))
def div(b: Builder, x: Complex, y: Complex, **_: Any) -> Complex:
    """x / y, which is x times conj(y) over |y|^2: that must not be below 2^-8, say, nor above 2^25."""
    if _is_real(y):
        return Complex(b.emit("div", x.real, y.real), b.emit("div", x.imag, y.real), b.where)
    upper, lower = mul(b, x, Complex(y.real, b.emit("neg", y.imag))), _norm(b, y)
    return Complex(b.emit("div", upper.real, lower), b.emit("div", upper.imag, lower), b.where)


def _norm(b: Builder, x: Complex) -> Ref:
    """|x|^2, truncated once."""
    found = b.emit("reduce_sum", b.emit("square", _stack(b, x.real, x.imag)), axes=(0,))
    return b.emit("within", found, low=0.0, high=math.inf)


@example(lambda J, x, y: J.jnp.abs(J.lax.complex(x, y)), reals(9), reals(9), rtol=1e-3, atol=1e-3)
@example(lambda J, x, y: J.jnp.abs(J.lax.complex(x, y)) ** 2, reals(9), reals(9))
def abs_(b: Builder, x: Complex, **_: Any) -> Ref:
    """|x| < 2^13, as the root of a sum of squares: below 0.01 it is known to 0.004 only. Its square costs no root."""
    return b.emit("sqrt", _norm(b, x))


@example(lambda J, x, y: J.jnp.sign(J.lax.complex(x, y)).imag, reals(9, low=0.5), reals(9), rtol=1e-3, atol=1e-3)
def sign(b: Builder, x: Complex, **_: Any) -> Complex:
    """x / |x|, 0 where x = 0."""
    inverse = b.emit("rsqrt", _norm(b, x))
    return Complex(b.emit("mul", x.real, inverse), b.emit("mul", x.imag, inverse), b.where)


@example(
    lambda J, x, y: J.jnp.einsum("ij,jk->ik", J.lax.complex(x, x + 1), J.lax.complex(y, 2 * y)).imag,
    reals(2, 3),
    reals(3, 4),
)
@example(lambda J, x: (J.lax.complex(x, x[::-1]) @ J.jnp.array([[1j, 1.0, 2.0], [1.0, 0.5j, 2.0]])).real, reals(3, 2))
@example(lambda J, x: J.jnp.vdot(J.lax.complex(x, 2 * x), J.lax.complex(x, x)).imag, reals(5))
@example(lambda J, x, y: (x @ J.lax.complex(y, 2 * y)).imag, reals(2, 3), reals(3, 4))
@example(lambda J, x, y: (J.lax.complex(x, 2 * x) @ y).real, reals(2, 3), reals(3, 4))
def dot_general(b: Builder, x: Value, y: Value, *, dimension_numbers: Any, **_: Any) -> Complex:
    """Matrix products: the parts are one more axis that is summed over, so that each result is truncated once."""
    if not (isinstance(x, Complex) and isinstance(y, Complex)):
        return _each_part(rules.every()["dot_general"], b, x, y, dimension_numbers=dimension_numbers)
    (cx, cy), (bx, by) = ((tuple(int(a) + 1 for a in p) for p in pair) for pair in dimension_numbers)
    numbers = (((0, *cx), (0, *cy)), (bx, by))
    left = _stack(b, x.real, x.imag)
    parts = (_stack(b, y.real, b.emit("neg", y.imag)), _stack(b, y.imag, y.real))
    real, imag = (_do(b, "dot_general", left, part, dimension_numbers=numbers) for part in parts)
    return Complex(real, imag, b.where)


# ---- functions ------------------------------------------------------------------------------------------------------


@example(lambda J, x, y: J.jnp.exp(J.lax.complex(x, y)).imag, reals(9, low=-2, high=2), reals(9), rtol=1e-3, atol=1e-3)
def exp(b: Builder, x: Complex, **_: Any) -> Complex:
    """e^x = e^a (cos b + i sin b) for x = a + ib."""
    angle = Complex(b.emit("cos", x.imag), b.emit("sin", x.imag), b.where)
    if x.real.is_uniform(0):
        return angle
    size = b.emit("exp", x.real)
    return Complex(b.emit("mul", size, angle.real), b.emit("mul", size, angle.imag), b.where)


@example(lambda J, x, y: J.jnp.log(J.lax.complex(x, y)).imag, reals(9, low=0.5), reals(9), rtol=1e-3, atol=1e-3)
@example(lambda J, x, y: J.jnp.log(J.lax.complex(x, y)).real, reals(9, low=0.5), reals(9), rtol=1e-3, atol=1e-3)
def log(b: Builder, x: Complex, **_: Any) -> Complex:
    """log |x| + i times the angle of x."""
    half = b.constant(0.5, x.real.type)
    return Complex(b.emit("mul", b.emit("log", _norm(b, x)), half), _do(b, "atan2", x.imag, x.real), b.where)


@example(lambda J, x, y: J.lax.complex(x * 1.0, y * 1.0) == (1 + 0j), bits(9), bits(9))
def eq(b: Builder, x: Complex, y: Complex, **_: Any) -> Ref:
    """Whether both parts are equal."""
    return b.emit("and", _do(b, "eq", x.real, y.real), _do(b, "eq", x.imag, y.imag))


@example(lambda J, x, y: J.lax.complex(x, y) != J.lax.complex(J.jnp.round(x), y), reals(9), reals(9))
def ne(b: Builder, x: Complex, y: Complex, **_: Any) -> Ref:
    """Whether a part differs."""
    return b.emit("not", eq(b, x, y))


@example(lambda J, x: (x.astype(complex) * 2j).imag)
@example(lambda J, x, y: J.lax.complex(x, y).astype("complex64").imag, reals(5), reals(5))
def convert_element_type(b: Builder, x: Value, *, new_dtype: Any, **_: Any) -> Value:
    """A cast to or from complex numbers; of a complex one to a real one the real part."""
    if np.dtype(new_dtype).kind != "c":
        return b.emit("convert", real_part(x), dtype=ir_dtype(new_dtype))
    return Complex(b.emit("convert", real_part(x), dtype="fixed"), imaginary_part(b, x), b.where)

"""Complex numbers as pairs of reals, and Fourier transforms: products with public matrices of cosines and sines.

A transform of n = n1 n2 points is n2 transforms of n1 points, and then n1 products with matrices that hold both the
twiddle factors and the transform of n2 points (Cooley and Tukey 1965): each stage truncates once.
"""

from __future__ import annotations

from math import isqrt, prod
from typing import Any

import numpy as np

from ....errors import UnsupportedError
from ..builder import Array, Builder, Ref
from ..complex import Complex, Value, halves, imaginary_part, real_part
from ..example import example, reals


@example(lambda J, x, y: J.lax.complex(x, y).imag, reals(5), reals(5))
@example(lambda J, x: J.jax.grad(lambda v: J.jnp.fft.rfft(v, axis=0).imag.sum())(x), reals(6, 2))
def complex_(b: Builder, x: Ref, y: Ref, **_: Any) -> Complex:
    """The complex number x + iy: a pair, which is neither input nor result."""
    shape = np.broadcast_shapes(x.type.shape, y.type.shape)
    x, y = (v if v.type.shape == shape else b.emit("broadcast", v, shape=shape, dims=()) for v in (x, y))
    return Complex(x, y, b.where)


@example(lambda J, x: J.jnp.fft.fft(x).real, reals(5))
def real(b: Builder, x: Value, **_: Any) -> Ref:
    """The real part."""
    return real_part(x)


@example(lambda J, x: J.jnp.fft.fft(x).imag, reals(5))
@example(lambda J, x, y: J.jnp.angle(J.lax.complex(x, y)), reals(9), reals(9), rtol=1e-3, atol=1e-3)
def imag(b: Builder, x: Value, **_: Any) -> Ref:
    """The imaginary part."""
    return imaginary_part(b, x)


@example(lambda J, x: J.jnp.conj(J.jnp.fft.fft(x)).imag, reals(5))
def conj(b: Builder, x: Value, **_: Any) -> Complex:
    """The complex conjugate."""
    return Complex(real_part(x), b.emit("neg", imaginary_part(b, x)), b.where)


MOST_DENSE = 64
"""Points that are transformed by one matrix; more are split, if they have factors."""
MOST_PRIME = 1024
"""A prime number of points has no factors: its matrix has n^2 elements."""


@example(lambda J, x: J.jnp.fft.fft(x).imag, reals(2, 12))
@example(lambda J, x: J.jnp.abs(J.jnp.fft.rfft(x)), reals(2, 9), rtol=1e-3, atol=1e-3)
@example(lambda J, x: J.jnp.fft.rfft(x).imag, reals(96), atol=3e-4)
@example(lambda J, x: J.jnp.fft.fft(J.lax.complex(x, x[::-1])).real, reals(256), atol=1e-3)
@example(lambda J, x: J.jnp.fft.irfft(J.jnp.fft.rfft(x)), reals(2, 10))
@example(lambda J, x: J.jnp.fft.irfft(J.jnp.fft.rfft(x), n=129), reals(128))
@example(lambda J, x: J.jnp.fft.ifft(J.jnp.fft.fft(x) * J.jnp.fft.fft(x[::-1])).real, reals(16), atol=1e-3)
@example(lambda J, x: J.jnp.fft.fft2(x).imag, reals(3, 4, 5))
@example(lambda J, x: J.jnp.fft.irfft2(J.jnp.fft.rfft2(x)), reals(4, 6))
@example(lambda J, x: J.jnp.fft.fft(x, norm="ortho").real, reals(8))
@example(lambda J, x: J.jax.grad(lambda v: (J.jnp.abs(J.jnp.fft.rfft(v)) ** 2).sum())(x), reals(6), atol=1e-3)
def fft(b: Builder, x: Value, *, fft_type: Any, fft_lengths: Any, **_: Any) -> Value:
    """Fourier transforms of public sizes; each error is about 2^-19 times the root of the sum of |x|^2."""
    kind = str(getattr(fft_type, "name", fft_type)).upper().rpartition(".")[2]
    lengths = tuple(map(int, fft_lengths))
    z = Complex(real_part(x), imaginary_part(b, x), b.where)
    sign = 1 if kind in ("IFFT", "IRFFT") else -1
    *others, last = range(len(z.shape) - len(lengths), len(z.shape))
    if kind == "RFFT":
        z = _along(b, z, last, sign, kept=lengths[-1] // 2 + 1)
    for axis in others:
        z = _along(b, z, axis, sign)
    if kind == "IRFFT":
        z = _along(b, _hermitian(b, z, lengths[-1], (last,)), last, sign, only_real=True)
    if kind in ("FFT", "IFFT"):
        z = _along(b, z, last, sign)
    if sign < 0:
        return z
    scale = b.constant(1 / prod(lengths), z.real.type)
    z = Complex(b.emit("mul", z.real, scale), b.emit("mul", z.imag, scale), b.where)
    return z.real if kind == "IRFFT" else z


def _along(b: Builder, z: Complex, axis: int, sign: int, kept: int | None = None, only_real: bool = False) -> Complex:
    """The sums over one axis of z_j exp(sign 2 pi i j k / n), for k < kept."""
    order = list(range(len(z.shape)))
    order[axis], order[-1] = order[-1], order[axis]
    swapped = _moved(b, z, order)
    n = z.shape[axis]
    kept = n if kept is None else kept
    rows = _shaped(b, swapped, (prod(swapped.shape[:-1]), n))
    return _moved(b, _shaped(b, _transform(b, rows, sign, kept, only_real), (*swapped.shape[:-1], kept)), order)


def _transform(b: Builder, z: Complex, sign: int, kept: int, only_real: bool = False) -> Complex:
    """The first points of the transform of each row."""
    rows, n = z.shape
    second = _split(n)
    first = n // second
    if second == 1:
        if n > MOST_PRIME:
            raise UnsupportedError(
                f"a Fourier transform of {n} points, a prime number",
                wanted=f"a number of points with factors, or up to {MOST_PRIME}",
                todo="fill up with zeros: jnp.fft.rfft(x, n=...)",
                where=b.where or None,
            )
        return _product(b, z, _waves(np.outer(np.arange(n), np.arange(kept)), n, sign), only_real)
    # Point j = second * a + c goes to k = p + first * q: sums over a give (c, p), then sums over c give (p, q).
    # Of real numbers the points (p, q) and (first - p, second - 1 - q) are conjugate.
    is_real = z.imag.is_uniform(0)
    some = first // 2 + 1 if is_real else first
    columns = _shaped(b, _moved(b, _shaped(b, z, (rows, first, second)), (0, 2, 1)), (rows * second, first))
    inner = _shaped(b, _transform(b, columns, sign, some), (rows, second, some))
    c, p, q = np.arange(second)[:, None], np.arange(some)[:, None, None], np.arange(second)
    outer = _product(b, _moved(b, inner, (2, 0, 1)), _waves(c * (p + first * q), n, sign), only_real)
    found = _moved(b, outer, (1, 2, 0))
    if is_real:
        found = _hermitian(b, found, first, (1, 2))
    return _window(b, _shaped(b, found, (rows, n)), 0, kept)


def _split(n: int) -> int:
    """The second factor: the largest one up to the root of n, 1 for what is not split."""
    if n <= MOST_DENSE:
        return 1
    return max(d for d in range(1, min(isqrt(n), MOST_DENSE) + 1) if n % d == 0)


def _waves(steps: Array, n: int, sign: int) -> tuple[Array, Array]:
    """Cosines and sines of sign 2 pi steps / n."""
    angle = sign * 2 * np.pi * (steps % n) / n
    return np.cos(angle), np.sin(angle)


def _product(b: Builder, z: Complex, waves: tuple[Array, Array], only_real: bool) -> Complex:
    """z times cos + i sin, as one real matrix product: (real, imaginary) times [[cos, sin], [-sin, cos]].

    With `only_real`, the imaginary part, which is known to be 0, is not computed.
    """
    cos, sin = waves
    x, rows = z.real, np.concatenate([cos, sin], axis=-1)
    if not z.imag.is_uniform(0):
        x = b.emit("concat", z.real, z.imag, axis=len(z.shape) - 1)
        rows = np.concatenate([rows, np.concatenate([-sin, cos], axis=-1)], axis=-2)
    if only_real:
        made = b.emit("matmul", x, b.constant(rows[..., : cos.shape[-1]]))
        return Complex(made, b.constant(0.0, made.type), b.where)
    return halves(b, b.emit("matmul", x, b.constant(rows)), (*z.shape[:-1], cos.shape[-1]))


def _hermitian(b: Builder, z: Complex, n: int, axes: tuple[int, ...]) -> Complex:
    """All n points along the last axis, of which n // 2 + 1 are given: the others are conjugates, in reverse."""
    mirrored = _window(b, z, 1, n - n // 2)
    last = len(z.shape) - 1
    real, imag = (b.emit("reverse", v, axes=axes) for v in (mirrored.real, mirrored.imag))
    return Complex(
        b.emit("concat", z.real, real, axis=last), b.emit("concat", z.imag, b.emit("neg", imag), axis=last), b.where
    )


def _window(b: Builder, z: Complex, start: int, stop: int) -> Complex:
    """Elements start..stop-1 of the last axis."""
    rank = len(z.shape)
    starts, limits = (*(0,) * (rank - 1), start), (*z.shape[:-1], stop)
    real, imag = (b.emit("slice", v, starts=starts, limits=limits, strides=(1,) * rank) for v in (z.real, z.imag))
    return Complex(real, imag, b.where)


def _shaped(b: Builder, z: Complex, shape: tuple[int, ...]) -> Complex:
    return Complex(b.emit("reshape", z.real, shape=shape), b.emit("reshape", z.imag, shape=shape), b.where)


def _moved(b: Builder, z: Complex, order: Any) -> Complex:
    axes = tuple(order)
    return Complex(b.emit("transpose", z.real, axes=axes), b.emit("transpose", z.imag, axes=axes), b.where)

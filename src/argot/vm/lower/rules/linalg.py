"""Triangular matrices: one column after the other, so as many steps as there are rows. Systems with a solver."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ....errors import UnsupportedError
from ..builder import Builder, Ref
from ..example import example, reals
from ..interpret import interpret
from ..jax_adapter import read
from ..named import MOST_ROWS
from .structure import pad


@example(lambda J, x: J.jnp.linalg.cholesky(x @ x.T + J.jnp.eye(4)), reals(4, 4), rtol=1e-3, atol=1e-3)
@example(
    lambda J, x: J.jnp.linalg.cholesky(J.jnp.einsum("bij,bkj->bik", x, x) + J.jnp.eye(3)),
    reals(2, 3, 3),
    rtol=1e-3,
    atol=1e-3,
)
def cholesky(b: Builder, x: Ref, **_: Any) -> Ref:
    """The lower triangle L of a positive definite x = L L^T, of up to 64 rows."""
    n = _rows(b, x)
    zero = b.constant(0.0, x.type.with_shape(()))
    rest = b.emit("reshape", x, shape=(prod(x.type.shape[:-2]), n, n))
    columns = []
    for k in range(n):
        column = _part(b, rest, (0, n - k), (0, 1))
        root = b.emit("rsqrt", _part(b, rest, (0, 1), (0, 1)))
        column = b.emit("mul", column, b.emit("broadcast", root, shape=column.type.shape, dims=(0, 1, 2)))
        columns.append(pad(b, column, zero, padding_config=[(0, 0, 0), (k, 0, 0), (0, 0, 0)]))
        if k + 1 < n:
            low = _part(b, column, (1, n - k), (0, 1))
            square = b.emit("matmul", low, b.emit("transpose", low, axes=(0, 2, 1)))
            rest = b.emit("sub", _part(b, rest, (1, n - k), (1, n - k)), square)
    lower = columns[0] if n == 1 else b.emit("concat", *columns, axis=2)
    return b.emit("reshape", lower, shape=x.type.shape)


@example(
    lambda J, a, y: J.jax.scipy.linalg.solve_triangular(a + 6 * J.jnp.eye(3), y, lower=True),
    reals(3, 3, low=-1, high=1),
    reals(3),
    rtol=1e-3,
    atol=1e-3,
)
@example(
    lambda J, a, y: J.jax.scipy.linalg.solve_triangular(a + 6 * J.jnp.eye(3), y, trans=1),
    reals(3, 3, low=-1, high=1),
    reals(3, 2),
    rtol=1e-3,
    atol=1e-3,
)
@example(
    lambda J, a, y: J.lax.linalg.triangular_solve(a, y, left_side=False, lower=False, unit_diagonal=True),
    reals(2, 3, 3, low=-1, high=1),
    reals(2, 4, 3),
    rtol=1e-3,
    atol=1e-3,
)
def triangular_solve(
    b: Builder, a: Ref, y: Ref, *, left_side: bool, lower: bool, transpose_a: bool, unit_diagonal: bool, **_: Any
) -> Ref:
    """The solution of a triangular system of up to 64 equations; one reciprocal for each, all at once."""
    n = _rows(b, a)
    batch = prod(a.type.shape[:-2])
    a = b.emit("reshape", a, shape=(batch, n, n))
    rest = b.emit("reshape", y, shape=(batch, *y.type.shape[-2:]))
    if not left_side:
        transpose_a, rest = not transpose_a, b.emit("transpose", rest, axes=(0, 2, 1))
    if transpose_a:
        lower, a = not lower, b.emit("transpose", a, axes=(0, 2, 1))
    if not lower:  # the last equation first
        a, rest = b.emit("reverse", a, axes=(1, 2)), b.emit("reverse", rest, axes=(1,))
    inverse = None
    if not unit_diagonal:
        eye = b.constant(np.broadcast_to(np.eye(n), a.type.shape), a.type)
        diagonal = b.emit("reduce_sum", b.emit("mul", a, eye), axes=(2,))
        one = b.constant(1.0, diagonal.type)
        inverse = b.emit("reshape", b.emit("div", one, diagonal), shape=(batch, n, 1))
    width = rest.type.shape[2]
    found = []
    for k in range(n):
        x = _part(b, rest, (0, 1), (0, width))
        if inverse is not None:
            scale = b.emit("broadcast", _part(b, inverse, (k, k + 1), (0, 1)), shape=x.type.shape, dims=(0, 1, 2))
            x = b.emit("mul", x, scale)
        found.append(x)
        if k + 1 < n:
            known = b.emit("matmul", _part(b, a, (k + 1, n), (k, k + 1)), x)
            rest = b.emit("sub", _part(b, rest, (1, n - k), (0, width)), known)
    solution = found[0] if n == 1 else b.emit("concat", *found, axis=1)
    if not lower:
        solution = b.emit("reverse", solution, axes=(1,))
    if not left_side:
        solution = b.emit("transpose", solution, axes=(0, 2, 1))
    return b.emit("reshape", solution, shape=y.type.shape)


@example(
    lambda J, a, y: J.jax.grad(lambda v: (J.jnp.linalg.solve(v, y) ** 2).sum())(a + 6 * J.jnp.eye(3)),
    reals(3, 3, low=-1, high=1),
    reals(3),
    rtol=1e-3,
    atol=1e-3,
)
@example(
    lambda J, a, y: J.jax.vmap(J.jnp.linalg.solve)(a + 6 * J.jnp.eye(3), y),
    reals(2, 3, 3, low=-1, high=1),
    reals(2, 3),
    rtol=1e-3,
    atol=1e-3,
)
def custom_linear_solve(b: Builder, *args: Ref, const_lengths: Any, jaxprs: Any, **_: Any) -> list[Ref]:
    """A linear system with its own solver, that of `jnp.linalg.solve` in derivatives and batches: the solver.

    The operands are those of the matrix, of its transpose, of both solvers, then the right sides.
    """
    before = const_lengths.matvec + const_lengths.vecmat
    known = args[before : before + const_lengths.solve]
    sides = args[before + const_lengths.solve + const_lengths.transpose_solve :]
    return interpret(b, read(jaxprs.solve), [*known, *sides])


def _rows(b: Builder, x: Ref) -> int:
    n = x.type.shape[-1]
    if not 0 < n <= MOST_ROWS:
        raise UnsupportedError(
            f"a triangular matrix of {n} rows", wanted=f"1 to {MOST_ROWS} rows", where=b.where or None
        )
    return n


def _part(b: Builder, x: Ref, rows: tuple[int, int], columns: tuple[int, int]) -> Ref:
    """Rows and columns start..stop-1 of each matrix."""
    limits = (x.type.shape[0], rows[1], columns[1])
    return b.emit("slice", x, starts=(0, rows[0], columns[0]), limits=limits, strides=(1, 1, 1))

"""Decompositions of small matrices: LU with secret pivots, QR by reflections, eigenvalues and SVD by rotations.

All of them take a fixed number of steps. Orthogonal factors come out orthogonal to a few units in the last place, times
the number of steps.
"""

from __future__ import annotations

from typing import Any

from ....errors import UnsupportedError
from ..builder import Builder, Ref
from ..example import example, reals
from ..jax_adapter import jax
from ..named import MOST_ROWS
from ..written import written

MOST_COLUMNS = 32
"""Of a matrix whose eigenvalues or singular values are found."""

SWEEPS = 7
"""Of Jacobi rotations over all pairs. They converge quadratically: 5 do for 8 columns, 6 or 7 for 32 (Golub and Van
Loan, Matrix Computations, 4th ed., section 8.5.3)."""


def _inverse_root(jnp: Any, x: Any) -> Any:
    """1 / sqrt(x), one step of Newton's iteration more exact than the device's own."""
    r = jax().lax.rsqrt(x)
    return r * (1.5 - 0.5 * (x * r) * r)


def _batched(fn: Any, x: Ref) -> Any:
    """`fn(jnp, matrix)` over all axes of x but the last two."""

    def over(jnp: Any, array: Any) -> Any:
        one = lambda matrix: fn(jnp, matrix)  # noqa: E731
        for _ in x.type.shape[:-2]:
            one = jax().vmap(one)
        return one(array)

    return over


# ---- LU -------------------------------------------------------------------------------------------------------------


def _lu(jnp: Any, a: Any) -> tuple[Any, Any, Any]:
    m, n = a.shape
    order, pivots = jnp.arange(m, dtype="int32"), []
    for k in range(min(m, n)):
        below, rest = a[k:], order[k:]
        place = jnp.argmax(jnp.abs(below[:, k]))
        here = jnp.arange(m - k) == place
        pivots.append(place.astype("int32") + k)
        # Row k and the pivot's change places.
        pivot, named = here.astype("int32") @ below, (here * rest).sum()
        others = jnp.where(here[1:, None], below[0], below[1:])
        order = jnp.concatenate([order[:k], named[None], jnp.where(here[1:], rest[0], rest[1:])])
        factor = others[:, k] / pivot[k]
        others = others.at[:, k].set(factor).at[:, k + 1 :].add(-factor[:, None] * pivot[k + 1 :])
        a = jnp.concatenate([a[:k], pivot[None], others])
    return a, jnp.stack(pivots), order.astype("int32")


@example(lambda J, x: J.lax.linalg.lu(x), reals(4, 4), rtol=2e-2, atol=2e-2)
@example(lambda J, x: J.jnp.linalg.det(x), reals(4, 4), rtol=5e-3, atol=5e-2)
@example(lambda J, x: J.jnp.linalg.slogdet(x), reals(2, 4, 4), rtol=1e-2, atol=1e-2)
@example(lambda J, x: J.jax.scipy.linalg.lu(x)[1:], reals(4, 3), rtol=2e-2, atol=2e-2)
def lu(b: Builder, x: Ref, **_: Any) -> list[Ref]:
    """P x = L U with secret pivots, the largest of a column: both triangles in one matrix, pivots, permutation."""
    _at_most(b, x, min(x.type.shape[-2:]), MOST_ROWS)
    return written(b, _batched(_lu, x), x)


# ---- QR -------------------------------------------------------------------------------------------------------------


def _qr(jnp: Any, a: Any, full: bool) -> tuple[Any, Any]:
    """Householder's reflections I - u u^T, |u|^2 = 2, with the signs of LAPACK: the diagonal of R has those of -x."""
    m, n = a.shape
    steps = min(m - 1, n)
    reflections, rows = [], []
    for k in range(steps):
        x = a[:, 0]
        square = (x * x).sum() + 2.0**-17  # what rounds up to itself; a column of zeros stays one
        norm = square * _inverse_root(jnp, square)
        end = jnp.where(x[0] < 0, norm, -norm)
        v = x.at[0].add(-end)
        u = v * _inverse_root(jnp, norm * (norm + jnp.abs(x[0])))
        a = a - u[:, None] * (u @ a)
        reflections.append(u)
        rows.append(jnp.concatenate([jnp.zeros(k), a[0].at[0].set(end)]))
        a = a[1:, 1:]
    below = jnp.concatenate([jnp.zeros((a.shape[0], n - a.shape[1])), a], axis=1)
    r = jnp.concatenate([jnp.stack(rows), below]) if rows else below
    q = jnp.eye(m, m if full else min(m, n))
    for k in reversed(range(steps)):
        u = reflections[k]
        q = jnp.concatenate([q[:k], q[k:] - u[:, None] * (u @ q[k:])])
    return q, r if full else r[: min(m, n)]


@example(lambda J, x: J.jnp.linalg.qr(x), reals(5, 3), rtol=2e-3, atol=2e-3)
@example(lambda J, x: J.jnp.linalg.qr(x), reals(2, 3, 3), rtol=2e-3, atol=2e-3)
@example(lambda J, x: J.jnp.linalg.qr(x, mode="complete"), reals(4, 2), rtol=2e-3, atol=2e-3)
def qr(b: Builder, x: Ref, *, full_matrices: bool, pivoting: bool = False, **_: Any) -> list[Ref]:
    """x = Q R by Householder's reflections, with the signs of LAPACK; columns shorter than 2^12."""
    if pivoting:
        raise UnsupportedError("a QR decomposition with pivots", wanted="one without", where=b.where or None)
    _at_most(b, x, min(x.type.shape[-2:]), MOST_ROWS)
    return written(b, _batched(lambda jnp, a: _qr(jnp, a, full_matrices), x), x)


# ---- rotations ------------------------------------------------------------------------------------------------------


def _rotation(jnp: Any, p: Any, q: Any, both: Any) -> tuple[Any, Any]:
    """Cosine and sine of the smaller angle that makes the symmetric [[p, both], [both, q]] diagonal, for many.

    With d = q - p and e = 2 both, tan = e sign(d) / (|d| + sqrt(d^2 + e^2)); d and e are first divided by |d| + |e|, so
    that nothing is squared that is large, or small (Rutishauser, 1966).
    """
    d, e = q - p, 2 * both
    size = 1 / (jnp.abs(d) + jnp.abs(e) + 2.0**-16)
    straight, e = jnp.abs(d) * size, jnp.where(d < 0, -e, e) * size
    t = e / (straight + jnp.sqrt(straight * straight + e * e) + 2.0**-16)
    c = _inverse_root(jnp, 1 + t * t)
    return c, t * c


def _turned(jnp: Any, n: int) -> Any:
    """The order of columns for the next pairs: column i meets i + n/2; all but the first move on by one place, as in a
    tournament. After n - 1 moves every two have met and all are back.
    """
    half = n // 2
    ring = [*range(1, half), *reversed(range(half, n))]
    moved = {a: b for a, b in zip(ring, [ring[-1], *ring[:-1]], strict=True)} | {0: 0}
    return jnp.array([moved[i] for i in range(n)])


def _rotations(jnp: Any, c: Any, s: Any) -> Any:
    """The matrix that turns each pair of columns: the identity but for c, s, -s, c."""
    cosine, sine = jnp.diag(c), jnp.diag(s)
    return jnp.concatenate([jnp.concatenate([cosine, sine], axis=1), jnp.concatenate([-sine, cosine], axis=1)])


def _ordered(jnp: Any, values: Any, descending: bool, *columns: Any) -> list[Any]:
    """The values in order, and matrices with their columns in the same."""
    place = jnp.argsort(-values if descending else values)
    code = (place[None, :] == jnp.arange(values.shape[0])[:, None]).astype("int32")
    return [values @ code, *(matrix @ code for matrix in columns)]


def _eigh(jnp: Any, a: Any) -> tuple[Any, Any]:
    """Jacobi's rotations of both sides, n / 2 at a time."""
    n = a.shape[0]
    if n == 1:
        return jnp.ones((1, 1)), a[0]
    size = n + n % 2
    half, turn = size // 2, _turned(jnp, size)
    padded = jnp.zeros((size, size)).at[:n, :n].set(a)

    def step(_: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        a, v = state
        diagonal = jnp.diagonal(a)
        c, s = _rotation(jnp, diagonal[:half], diagonal[half:], jnp.diagonal(a[:half, half:]))
        g = _rotations(jnp, c, s)
        a, v = g.T @ (a @ g), v @ g
        return a[turn][:, turn], v[:, turn]

    a, v = jax().lax.fori_loop(0, SWEEPS * (size - 1), step, (padded, jnp.eye(size)))
    values, vectors = _ordered(jnp, jnp.diagonal(a)[:n], False, v[:n, :n])
    return vectors, values


@example(lambda J, x: J.jnp.linalg.eigvalsh(x @ x.T), reals(5, 5), rtol=2e-3, atol=2e-3)
@example(lambda J, x: J.jnp.linalg.eigvalsh(x + x.T), reals(4, 4), rtol=2e-3, atol=2e-3)
@example(lambda J, x: (lambda w, v: v @ (w[:, None] * v.T))(*J.jnp.linalg.eigh(x + x.T)), reals(6, 6), atol=1e-2)
@example(lambda J, x: (lambda w, v: v.T @ v)(*J.jnp.linalg.eigh(x + x.T)), reals(3, 3), atol=2e-3)
def eigh(b: Builder, x: Ref, *, lower: bool = True, subset_by_index: Any = None, **_: Any) -> list[Ref]:
    """Eigenvectors (up to their signs) and ascending eigenvalues of a symmetric matrix, by Jacobi's rotations."""
    if subset_by_index is not None:
        raise UnsupportedError("a part of the eigenvalues", wanted="all of them", where=b.where or None)
    _at_most(b, x, x.type.shape[-1], MOST_COLUMNS)

    def whole(jnp: Any, a: Any) -> tuple[Any, Any]:
        kept = jnp.tril(a) if lower else jnp.triu(a).T
        return _eigh(jnp, kept + jnp.tril(kept, -1).T)

    return written(b, _batched(whole, x), x)


def _svd(jnp: Any, a: Any) -> tuple[Any, Any, Any]:
    """Rotations of columns until they are orthogonal, n / 2 at a time (Hestenes, 1958); a has at least as many rows."""
    m, n = a.shape
    size = n + n % 2
    half, turn = size // 2, _turned(jnp, size) if n > 1 else None
    padded = jnp.zeros((m, size)).at[:, :n].set(a)

    def step(_: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        a, v = state
        first, second = a[:, :half], a[:, half:]
        p, q, both = ((x * y).sum(0) for x, y in ((first, first), (second, second), (first, second)))
        g = _rotations(jnp, *_rotation(jnp, p, q, both))
        return (a @ g)[:, turn], (v @ g)[:, turn]

    a, v = padded, jnp.eye(size)
    if n > 1:
        a, v = jax().lax.fori_loop(0, SWEEPS * (size - 1), step, (a, v))
    square = (a * a).sum(0)[:n] + 2.0**-17
    inverse = _inverse_root(jnp, square)
    s, u, v = _ordered(jnp, square * inverse, True, a[:, :n] * inverse, v[:n, :n])
    return s, u, v.T


@example(lambda J, x: J.jnp.linalg.svd(x, compute_uv=False), reals(5, 3), rtol=2e-3, atol=2e-3)
@example(lambda J, x: (lambda u, s, v: (u * s) @ v)(*J.jnp.linalg.svd(x, full_matrices=False)), reals(3, 5), atol=1e-2)
@example(lambda J, x: J.jnp.linalg.pinv(x), reals(4, 2), rtol=1e-2, atol=1e-2)
@example(lambda J, x, y: J.jnp.linalg.lstsq(x, y)[0], reals(6, 3), reals(6), rtol=1e-2, atol=1e-2)
@example(lambda J, x: J.jnp.linalg.norm(x, 2), reals(4, 4), rtol=2e-3, atol=2e-3)
def svd(b: Builder, x: Ref, *, full_matrices: bool, compute_uv: bool, **_: Any) -> list[Ref]:
    """x = U diag(s) V^T, s descending, by rotations of columns shorter than 2^12; U means nothing where s is 0."""
    m, n = x.type.shape[-2:]
    _at_most(b, x, min(m, n), MOST_COLUMNS)
    if compute_uv and full_matrices and m != n:
        raise UnsupportedError(
            "a singular value decomposition with bases of the whole space",
            wanted="full_matrices=False",
            todo="jnp.linalg.svd(x, full_matrices=False); further columns of a basis: jnp.linalg.qr of the rest",
            where=b.where or None,
        )

    def either(jnp: Any, a: Any) -> tuple[Any, ...]:
        s, u, v = _svd(jnp, a if m >= n else a.T)
        if not compute_uv:
            return (s,)
        return (s, u, v) if m >= n else (s, v.T, u.T)

    return written(b, _batched(either, x), x)


def _at_most(b: Builder, x: Ref, found: int, most: int) -> None:
    if not 0 < found <= most:
        rows, columns = x.type.shape[-2:]
        raise UnsupportedError(
            f"a decomposition of {rows} x {columns}", wanted=f"1 to {most} in one direction", where=b.where or None
        )

"""Group by secret keys, aggregate secret values. For functions on an MPC device, and for plain JAX.

    >>> import jax.numpy as jnp
    >>> from argot import groups
    >>> city, paid = jnp.array([2, 1, 2, 1, 2]), jnp.array([5, 1, 7, 3, 9])
    >>> found = groups.group_by(city, {"total": (paid, "sum"), "most": (paid, "max")}, size=3)
    >>> found.keys[0].tolist(), found.valid.tolist()
    ([1, 2, 0], [True, True, False])
    >>> found.values["total"].tolist(), found.values["most"].tolist()
    ([4, 21, 0], [3, 9, 0])

Rows are sorted by key, aggregated by running sums and extremes, and the last row of each group moved to the front by a
sort by one bit. Nothing is told but the number of rows, the bound on groups, and which columns there are: neither how
many groups there are nor how large they are. `docs/reference/order.md` has what it costs, and how exact sums are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array, lax, ops

from . import order
from .errors import InputError
from .vm.lower import within

HOW = ("sum", "mean", "count", "min", "max", "any", "all")

DIRECT = 8
"""Up to so many segments a sum by a one-hot code of the segment, 26 bytes for each, beats a sort."""


class Groups(NamedTuple):
    """Groups in ascending order of keys, one a row; what lies behind the last group is zero.

    A handle to it is one to a plain tuple: `keys, values, valid, count`.

    Attributes:
        keys: a column (rows,) for each key.
        values: the aggregates, each (rows,).
        valid: (rows,), whether there is a group in this row.
        count: how many groups there are, which may be more than there are rows.
    """

    keys: tuple[Array, ...]
    values: dict[str, Array]
    valid: Array
    count: Array  # type: ignore[assignment]  # tuples have a method of this name


def group_by(
    keys: Array | Sequence[Array], values: Mapping[str, tuple[Array, str]], *, size: int | None = None
) -> Groups:
    """Groups of rows with equal keys, and aggregates of their values.

    Args:
        keys: a column (n,) of numbers or booleans, or several. Promise their ranges (`argot.within`) if known.
        values: name: (column (n,), one of "sum", "mean", "count", "min", "max", "any", "all"). Sums of booleans
            count what is true; "min" and "max" of them are "all" and "any"; a number counts as true unless 0.
        size: public bound on the number of groups; n if there is none. Groups beyond it are dropped, the last keys
            first: `count` tells.

    Returns:
        min(size, n) rows. On shares |sum| < 2^26 for a "mean".

    Raises:
        InputError: shapes that differ, or an aggregate that does not exist.
    """
    columns = tuple(jnp.asarray(k) for k in (keys if isinstance(keys, list | tuple) else [keys]))
    asked = {name: _plain(jnp.asarray(column), how) for name, (column, how) in values.items()}
    _check(columns, asked, size)
    n = columns[0].shape[0]
    carried = {name: column for name, (column, how) in asked.items() if how != "count"}
    moved = order.by(*columns).rows([*columns, *carried.values()])
    sorted_keys, rows = moved[: len(columns)], dict(zip(carried, moved[len(columns) :], strict=True))
    changes = functools.reduce(jnp.logical_or, (k[1:] != k[:-1] for k in sorted_keys))
    edge = jnp.ones(min(n, 1), bool)
    starts, ends = jnp.concatenate([edge, changes])[:n], jnp.concatenate([changes, edge])[:n]

    running = [_running(column, asked[name][1], starts) for name, column in rows.items()]
    front = order.by(~ends).rows([ends, jnp.arange(1, n + 1), *sorted_keys, *running])
    valid, places, *others = (x[: n if size is None else size] for x in front)
    last = dict(zip(rows, others[len(columns) :], strict=True))
    counts = within(_differences(places), -n, n)
    made = {
        name: counts if how == "count" else _aggregate(last[name], how, counts, valid, n)
        for name, (_, how) in asked.items()
    }
    return Groups(
        tuple(_where(valid, key) for key in others[: len(columns)]),
        {name: _where(valid, column) for name, column in made.items()},
        valid,
        jnp.sum(ends),
    )


def segment_sum(x: Array, segments: Array, count: int) -> Array:
    """The sums (count, ...) of the rows of x, (n, ...), that have each number in `segments`, (n,): secret integers in
    [0, count), which is a promise. Like `jax.ops.segment_sum`."""
    x, segments = _segmented(x, segments, count)
    x = x.astype(int) if x.dtype == bool else x
    if count <= DIRECT:
        total: Array = ops.segment_sum(x, segments, count)
        return total
    first, rows = _by_segment(x, segments, count, 0)
    totals = order.by(~_ends(first)).apply(jnp.cumsum(rows, 0))[:count]
    return _differences(totals)


def segment_max(x: Array, segments: Array, count: int, empty: float = 0) -> Array:
    """The largest of each segment, as in `segment_sum`; `empty` for a segment without rows."""
    return _segment_extreme(jnp.maximum, x, segments, count, empty)


def segment_min(x: Array, segments: Array, count: int, empty: float = 0) -> Array:
    """The smallest of each segment, as in `segment_sum`; `empty` for a segment without rows."""
    return _segment_extreme(jnp.minimum, x, segments, count, empty)


# ---- groups ----------------------------------------------------------------------------------------------------------


def _plain(column: Array, how: str) -> tuple[Array, str]:
    """A request in terms of what there is: booleans for "any" and "all", numbers for the rest."""
    if how in ("any", "all"):
        return column.astype(bool), how
    if column.dtype == bool and how in ("min", "max"):
        return column, "any" if how == "max" else "all"
    return column, how


def _check(keys: tuple[Array, ...], asked: Mapping[str, tuple[Array, str]], size: int | None) -> None:
    if not keys:
        raise InputError("groups without a key", wanted="a column, or several")
    shape = keys[0].shape
    for name, column in (*((f"key {i}", k) for i, k in enumerate(keys)), *((n, c) for n, (c, _) in asked.items())):
        if column.ndim != 1 or column.shape != shape:
            raise InputError(f"column {name} of shape {column.shape}", wanted="columns of one length")
    for name, (_, how) in asked.items():
        if how not in HOW:
            raise InputError(f"aggregate {how!r} of {name}", wanted="one of " + ", ".join(HOW))
    if size is not None and size < 0:
        raise InputError(f"a bound of {size} groups", wanted="0 or more")


def _running(column: Array, how: str, starts: Array) -> Array:
    """What the last row of each group shall hold: sums from the first row of all, or extremes from the group's."""
    if how in ("min", "max"):
        return _scanned(jnp.maximum if how == "max" else jnp.minimum, column, starts)
    signed = column.dtype == bool or jnp.issubdtype(column.dtype, jnp.signedinteger)
    return jnp.cumsum(column.astype(int) if signed else column)


def _aggregate(last: Array, how: str, counts: Array, valid: Array, n: int) -> Array:
    """The aggregate, from what the last rows of all groups hold; n rows in all. Anything where there is no group."""
    if how in ("min", "max"):
        return last
    sums = _differences(last)
    if how == "mean":
        return sums / within(jnp.where(valid, counts, 1), 1, max(n, 1))
    if how in ("any", "all"):
        true = within(sums, -n, n)
        return true > 0 if how == "any" else true == counts
    return sums


# ---- segments --------------------------------------------------------------------------------------------------------


def _segmented(x: Array, segments: Array, count: int) -> tuple[Array, Array]:
    x, segments = jnp.asarray(x), jnp.asarray(segments)
    if segments.ndim != 1 or x.shape[:1] != segments.shape:
        raise InputError(f"values {x.shape} of segments {segments.shape}", wanted="(n, ...) and (n,)")
    if not jnp.issubdtype(segments.dtype, jnp.integer) or count < 1:
        raise InputError(f"{count} segments of dtype {segments.dtype}", wanted="one segment or more, integers")
    return x, within(segments, 0, count - 1)


def _by_segment(x: Array, segments: Array, count: int, empty: float) -> tuple[Array, Array]:
    """Rows by segment, each begun by a row of `empty`: which rows are such, and the rows."""
    n = x.shape[0]
    ids = within(jnp.concatenate([jnp.arange(count, dtype=segments.dtype), segments]), 0, count - 1)
    begun = jnp.concatenate([jnp.full((count, *x.shape[1:]), empty, x.dtype), x])
    first = jnp.concatenate([jnp.ones(count, bool), jnp.zeros(n, bool)])
    first, rows = order.by(ids).apply(first, begun)
    return first, rows


def _segment_extreme(pair: Callable[..., Array], x: Array, segments: Array, count: int, empty: float) -> Array:
    x, segments = _segmented(x, segments, count)
    first, rows = _by_segment(x, segments, count, empty)
    # The row that begins a segment is a run of its own, whose value counts only if no other row follows.
    starts = first | jnp.concatenate([jnp.ones(1, bool), first[:-1]])
    found: Array = order.by(~_ends(first)).apply(_scanned(pair, rows, starts))[:count]
    return found


def _ends(first: Array) -> Array:
    """Which rows are the last before a first one."""
    return jnp.concatenate([first[1:], jnp.ones(1, bool)])


# ---- both ------------------------------------------------------------------------------------------------------------


def _scanned(pair: Callable[..., Array], column: Array, starts: Array) -> Array:
    """Running extremes along the first axis, begun anew at each start: an associative scan of (start, value), 2 n uses
    of `pair` (Blelloch, "Prefix Sums and Their Applications", 1990, section 1.5)."""
    flags = starts.reshape(-1, *(1 for _ in column.shape[1:]))

    def join(left: tuple[Array, Array], right: tuple[Array, Array]) -> tuple[Array, Array]:
        return left[0] | right[0], jnp.where(right[0], right[1], pair(left[1], right[1]))

    found: Array = lax.associative_scan(join, (flags, column))[1]
    return found


def _differences(totals: Array) -> Array:
    """Of sums up to and with each row, the sums of each row."""
    return totals - jnp.concatenate([jnp.zeros_like(totals[:1]), totals[:-1]])


def _where(valid: Array, column: Array) -> Array:
    return jnp.where(valid, column, jnp.zeros_like(column))

"""What an owner does with its own columns before they are shared: standardise features, check labels.

Features become (x - mean) / std, then clipped. The clip bounds what fixed point has to carry: an outlier of 100
standard deviations says no more to a linear model than one of `LIMIT`.

The errors name rows and columns as the owner knows them: columns by name, rows by their number before the frame was
split (`splits`), from 0. They are raised at the owner, and what they say stays there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..devices.schema import Columns
from ..errors import InputError
from ..frame.owner import Split, before

LIMIT = 16.0
SHOWN = 5  # row numbers in a message


def fit(x: np.ndarray, columns: Sequence[str] = (), splits: Sequence[Split] = ()) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each column of `x` (rows, columns); a constant column gets std 1.

    Args:
        columns, splits: the names of the columns, and how `x` was split off, for messages.

    Raises:
        InputError: NaN or infinite cells, or numbers too large to be squared.
    """
    _check_finite(x, columns, splits)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = x.mean(axis=0), x.std(axis=0)
    wide = np.flatnonzero(~np.isfinite(mean) | ~np.isfinite(std))
    if wide.size:
        names = ", ".join(_name(int(c), columns) for c in wide)
        raise InputError(f"values too large in {names}", wanted="numbers below 1e150", todo="scale these columns")
    return {"mean": mean, "std": np.where(std > 0, std, 1.0)}


def transform(
    x: np.ndarray, scaler: dict[str, np.ndarray], columns: Sequence[str] = (), splits: Sequence[Split] = ()
) -> np.ndarray:
    """Columns of mean 0 and variance 1 (as measured when fitted), within ±`LIMIT`.

    Raises:
        InputError: another number of columns than was fitted, or cells that are not finite.
    """
    if x.shape[1] != len(scaler["mean"]):
        raise InputError(f"{x.shape[1]} columns", wanted=f"{len(scaler['mean'])}, as were fitted")
    _check_finite(x, columns, splits)
    return np.clip((x - scaler["mean"]) / scaler["std"], -LIMIT, LIMIT)


def labels(y: np.ndarray, column: str = "", splits: Sequence[Split] = ()) -> np.ndarray:
    """Labels 0 and 1, or booleans, as float64.

    Raises:
        InputError: other values, with their number and the first rows, or one class only.
    """
    y = np.asarray(y)
    title = f"labels in column {column!r}" if column else "labels"
    if y.dtype.kind not in "biuf":
        raise InputError(
            f"{title} of dtype {y.dtype.name}", wanted="0 and 1, or booleans", todo="encode them at their owner"
        )
    bad = np.flatnonzero((y != 0) & (y != 1))
    if bad.size:
        raise InputError(
            f"{bad.size} of {y.size} {title} are neither 0 nor 1: {_rows(bad, splits)}",
            wanted="0 and 1, or booleans",
            todo="encode the two classes as 0 and 1, and drop rows without a label",
        )
    if y.size and (y == y[0]).all():
        raise InputError(f"all {y.size} {title} are {int(y[0])}", wanted="rows of both classes, 0 and 1")
    return y.astype(np.float64)


def pack(scaler: dict[str, np.ndarray], columns: list[str]) -> dict[str, Any]:
    """What is kept of a scaler: its numbers, and the names of its columns as an empty table."""
    return {"scaler": scaler, "columns": Columns({name: np.zeros(0) for name in columns})}


def _check_finite(x: np.ndarray, columns: Sequence[str], splits: Sequence[Split]) -> None:
    bad = ~np.isfinite(x)
    if not bad.any():
        return
    places = [
        f"{_name(int(c), columns)} ({_rows(np.flatnonzero(bad[:, c]), splits)})"
        for c in np.flatnonzero(bad.any(axis=0))
    ]
    raise InputError(
        f"NaN or infinite values in {', '.join(places)}", wanted="finite numbers", todo="fill or drop these rows"
    )


def _name(column: int, columns: Sequence[str]) -> str:
    return f"column {columns[column]!r}" if len(columns) else f"column {column}"


def _rows(rows: np.ndarray, splits: Sequence[Split]) -> str:
    """ "rows 3, 17, 20 and 4 more", as they were numbered before the splits."""
    numbers = sorted(before(rows, splits).tolist())
    shown = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{more}"

"""Standardisation, fitted and applied at the owner of the columns: (x - mean) / std, then clipped.

The clip bounds what fixed point has to carry: an outlier of 100 standard deviations says no more to a linear
model than one of `LIMIT`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..devices.schema import Columns
from ..errors import InputError

LIMIT = 16.0


def fit(x: np.ndarray) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each column of `x` (rows, columns); a constant column gets std 1.

    Raises:
        InputError: NaN or infinite cells; tells the owner the columns and the first row of each.
    """
    bad = ~np.isfinite(x)
    if bad.any():
        places = [f"column {c} (first in row {int(np.argmax(bad[:, c]))})" for c in np.flatnonzero(bad.any(axis=0))]
        raise InputError(
            f"NaN or infinite values in {', '.join(places)}", wanted="finite numbers", todo="fill or drop these rows"
        )
    std = x.std(axis=0)
    return {"mean": x.mean(axis=0), "std": np.where(std > 0, std, 1.0)}


def transform(x: np.ndarray, scaler: dict[str, np.ndarray]) -> np.ndarray:
    """Columns of mean 0 and variance 1 (as measured when fitted), within ±`LIMIT`.

    Raises:
        InputError: another number of columns than was fitted, or cells that are not finite.
    """
    if x.shape[1] != len(scaler["mean"]):
        raise InputError(f"{x.shape[1]} columns", wanted=f"{len(scaler['mean'])}, as were fitted")
    if not np.isfinite(x).all():
        rows = np.flatnonzero(~np.isfinite(x).all(axis=1))
        raise InputError(
            f"NaN or infinite values in {len(rows)} rows, first {rows[:3].tolist()}", wanted="finite numbers"
        )
    return np.clip((x - scaler["mean"]) / scaler["std"], -LIMIT, LIMIT)


def pack(scaler: dict[str, np.ndarray], columns: list[str]) -> dict[str, Any]:
    """What is kept of a scaler: its numbers, and the names of its columns as an empty table."""
    return {"scaler": scaler, "columns": Columns({name: np.zeros(0) for name in columns})}

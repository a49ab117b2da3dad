"""Arguments of benchmarks: made at their owners from public seeds, as two addends, so that the whole is a secret.

No JAX here: agents run these functions.
"""

from __future__ import annotations

import numpy as np

GRID = 2.0**-18
KINDS = ("real", "int", "bool")


def value(kind: str, low: float, high: float, shape: list[int], number: int) -> np.ndarray:
    """Argument `number`: uniform in [low, high), on the grid of 18 fraction bits if real."""
    return _draw(np.random.default_rng([11, number]), kind, low, high, tuple(shape))


def addend(kind: str, low: float, high: float, shape: list[int], number: int, second: bool) -> np.ndarray:
    """One of the two parts of `value`: their sum, or for booleans their exclusive or, is the value."""
    whole = value(kind, low, high, shape, number)
    other = _draw(np.random.default_rng([7, number]), kind, low, high, tuple(shape))
    if second:
        return other
    return whole ^ other if kind == "bool" else whole - other


def _draw(rng: np.random.Generator, kind: str, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
    if kind == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if kind == "int":
        return rng.integers(int(low), int(high), shape)
    return np.asarray(np.round(rng.uniform(low, high, shape) / GRID) * GRID)

"""Functions of an installed package that fail with data in everything that an exception has."""

from __future__ import annotations

import numpy as np

CANARY = "canary-4711-x"


def fails(rows):
    secret = CANARY
    kind = type(f"Error_{CANARY.replace('-', '_')}", (ValueError,), {"__repr__": lambda self: secret})
    error = kind(secret)
    error.add_note(f"note {secret}")
    raise error from KeyError(secret)


def unencodable(rows):
    return np.array([1.0, 47114711.4711e9])


def fine(rows):
    return np.arange(rows, dtype=float)


def exits(rows):
    raise SystemExit(CANARY)


def out_of_range(rows):
    return np.array([0.5, 4711.25])


def between(rows):
    return np.array([0.5, 0.75])

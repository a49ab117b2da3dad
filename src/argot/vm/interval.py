"""Intervals of real numbers, and their arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SLACK = 2.0**-6
"""What inexact operations may add: far above the errors of truncations and approximations."""

GRID = 2.0**-9
"""Half a step with 8 fraction bits, by which numbers may change when they are encoded."""


@dataclass(frozen=True, slots=True)
class Interval:
    """low <= x <= high."""

    low: float
    high: float

    @property
    def magnitude(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    def widen(self, by: float = SLACK) -> Interval:
        return Interval(self.low - by, self.high + by)

    def roughly(self) -> Interval:
        """Widened for an approximation with relative error."""
        return Interval(self.low - abs(self.low) * 2.0**-10, self.high + abs(self.high) * 2.0**-10).widen()

    def encoded(self) -> Interval:
        """Where real numbers of this interval are once they are rounded to a grid of 8 fraction bits or more."""
        return Interval(_down(self.low), -_down(-self.high))

    def join(self, other: Interval) -> Interval:
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def meet(self, other: Interval) -> Interval:
        """What both say; this one where they contradict each other."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        return Interval(low, high) if low <= high else self

    def contains(self, other: Interval) -> bool:
        return self.low <= other.low and other.high <= self.high

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Interval) -> Interval:
        return Interval(self.low - other.high, self.high - other.low)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __mul__(self, other: Interval) -> Interval:
        if UNKNOWN in (self, other):
            return UNKNOWN
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        if any(map(math.isnan, corners)):
            return UNKNOWN
        return Interval(min(corners), max(corners))

    def times(self, n: int) -> Interval:
        """The sum of n numbers of this interval."""
        return Interval(self.low * n, self.high * n) if n else ZERO


def _down(x: float) -> float:
    """The next multiple of 2^-8 that is not above x."""
    return math.floor(x * 256) / 256 if abs(x) < 2.0**45 else x


UNKNOWN = Interval(-math.inf, math.inf)
BIT = Interval(0.0, 1.0)
ZERO = Interval(0.0, 0.0)


def of_array(value: np.ndarray[Any, Any]) -> Interval:
    """The interval of a constant; nothing is known of NaN."""
    if not value.size:
        return ZERO
    low, high = float(np.min(value)), float(np.max(value))
    return Interval(low, high) if low <= high else UNKNOWN


def scaled(x: Interval, factor: float) -> Interval:
    """The interval of x * factor, truncated."""
    return (x * Interval(factor, factor)).widen()


def joined(parts: Sequence[Interval]) -> Interval:
    """The smallest interval that contains all parts."""
    found = parts[0]
    for part in parts[1:]:
        found = found.join(part)
    return found

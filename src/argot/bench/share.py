"""`argot bench share`: a party's array becomes shares at all parties."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..api.calls import device as at
from ..api.local import local
from .arguments import value
from .measure import median, names

REALS = ("real", -4.0, 4.0)


def bench(n: int, reps: int = 5, protocol: str = "aby3") -> dict[str, Any]:
    """Alice's n reals plus one number of bob: both are shared, and the sum needs no message.

    Returns:
        op, n, seconds (median), bytes_total, rounds, max_abs_error of the shares.
    """
    with local(*names(protocol)) as federation:
        alice, bob = federation.parties[:2]
        device = federation.seat(protocol)
        x, y = at(alice)(value)(*REALS, [n], 0).wait(), at(bob)(value)(*REALS, [], 1).wait()
        measured, shared = median(lambda: at(device)(added)(x, y), reps)
        error = at(alice)(largest_error)(federation.reveal(shared, to=alice), n)
        largest = float(error.value())
    return {
        "op": "share",
        "n": n,
        "seconds": measured.seconds,
        "bytes_total": measured.bytes_total,
        "rounds": measured.rounds,
        "max_abs_error": largest,
    }


def added(x: Any, y: Any) -> Any:
    return x + y


def largest_error(got: np.ndarray, n: int) -> float:
    """Computed at the owner: the array is large."""
    want = value(*REALS, [n], 0) + value(*REALS, [], 1)
    return float(np.max(np.abs(got - want)))

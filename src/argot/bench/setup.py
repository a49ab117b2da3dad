"""`argot bench setup`: what two members of a new device make before anything else."""

from __future__ import annotations

import statistics
from typing import Any

from ..api.local import local
from .measure import names, set_up


def bench(reps: int = 5, protocol: str = "cheetah") -> dict[str, Any]:
    """Open devices one after the other; each has keys and correlations of its own.

    Returns:
        op, protocol, seconds (median), bytes_total: what the first comparisons of 16 numbers on an open device took
        more than later ones, and what all parties sent outside of them.
    """
    with local(*names(protocol)) as federation:
        made = []
        for _ in range(reps + 1):
            device = federation.seat(protocol)
            federation.wait_for(device.opened)
            made.append(set_up(device))
    return {
        "op": "setup",
        "protocol": protocol,
        "seconds": statistics.median(one.seconds for one in made[1:]),
        "bytes_total": made[-1].bytes,
    }

"""Timing nodes of the graph: what the agents themselves measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..api.handles import Handle


@dataclass(frozen=True)
class Cost:
    """One run of one node, or the median of several.

    Attributes:
        seconds: from when all parties have begun to the slowest party's end.
        bytes_total: payload sent by all parties together.
        bytes_busiest: payload sent by the party that sent most.
        rounds: longest chain of dependent messages, as measured at the party that saw most.
    """

    seconds: float
    bytes_total: int
    bytes_busiest: int
    rounds: int


def cost(handle: Handle) -> Cost:
    """What the call behind a handle cost; waits for it."""
    handle.wait()
    usages = handle.ref.product.record.done_at.values()
    sent = [u.bytes_sent for u in usages]
    return Cost(max(u.seconds for u in usages), sum(sent), max(sent), max(u.rounds for u in usages))


def median(call: Callable[[], Handle], reps: int) -> tuple[Cost, Handle]:
    """The median over `reps` runs after one that does not count, and the last result."""
    cost(call())
    costs = []
    for _ in range(reps):
        handle = call()
        costs.append(cost(handle))
    return replace(costs[-1], seconds=statistics.median(c.seconds for c in costs)), handle

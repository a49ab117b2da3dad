"""Timing nodes of the graph: what the agents themselves measured."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ..api.calls import device as at
from ..api.handles import Handle
from ..api.places import MpcDevice
from ..api.protocols import seated
from .arguments import addend

NAMES = ("alice", "bob", "carol")
FIRST = 8
"""Comparisons that count as set-up: after so many the peer has made what it keeps too."""


@dataclass(frozen=True)
class Cost:
    """One run of one node, or several of them.

    Attributes:
        seconds: from when all parties have begun to the slowest party's end; of several runs the median.
        seconds_mean: of several runs the mean: work for later runs falls into some of them only.
        bytes_total: payload sent by all parties together.
        bytes_ahead: sent by all parties outside of operations, such as correlations made in bulk; of several the mean.
        bytes_busiest: payload sent by the party that sent most.
        rounds: longest chain of dependent messages, as measured at the party that saw most.
    """

    seconds: float
    seconds_mean: float
    bytes_total: int
    bytes_ahead: int
    bytes_busiest: int
    rounds: int


def cost(handle: Handle) -> Cost:
    """What the call behind a handle cost; waits for it."""
    handle.wait()
    usages = handle.ref.product.record.done_at.values()
    sent, seconds = [u.bytes_sent for u in usages], max(u.seconds for u in usages)
    ahead = sum(u.bytes_ahead for u in usages)
    return Cost(seconds, seconds, sum(sent), ahead, max(sent), max(u.rounds for u in usages))


def median(call: Callable[[], Handle], reps: int, rest: float = 0.0) -> tuple[Cost, Handle]:
    """The median over `reps` runs after one that does not count, each after `rest` seconds, and the last result."""
    cost(call())
    costs = []
    for _ in range(reps):
        time.sleep(rest)
        handle = call()
        costs.append(cost(handle))
    seconds = [c.seconds for c in costs]
    found = replace(
        costs[-1],
        seconds=statistics.median(seconds),
        seconds_mean=statistics.mean(seconds),
        bytes_ahead=round(statistics.mean(c.bytes_ahead for c in costs)),
    )
    return found, handle


@dataclass(frozen=True)
class SetUp:
    """What the first small comparisons on a device took more than later ones.

    Attributes:
        seconds: of the slowest party.
        bytes: of all parties, outside of operations.
    """

    seconds: float
    bytes: int


def set_up(device: MpcDevice) -> SetUp:
    """Make what the members of a new device keep for all runs, by comparisons of 16 numbers; and measure it."""
    alice, bob = device.parties[:2]
    x, y = (
        at(party)(addend)("real", -4.0, 4.0, [16], number, False).wait() for number, party in enumerate((alice, bob))
    )
    costs = [cost(at(device)(less)(x, y)) for _ in range(2 * FIRST)]
    first, later = costs[:FIRST], costs[FIRST:]
    return SetUp(
        max(sum(c.seconds for c in first) - sum(c.seconds for c in later), 0.0), sum(c.bytes_ahead for c in first)
    )


def figures(measured: Cost, made: SetUp) -> dict[str, Any]:
    """As `argot bench` prints them: those of the runs, then what was before them."""
    return {
        "seconds": measured.seconds,
        "seconds_mean": measured.seconds_mean,
        "bytes_total": measured.bytes_total,
        "bytes_ahead": measured.bytes_ahead,
        "bytes_busiest": measured.bytes_busiest,
        "rounds": measured.rounds,
        "seconds_setup": made.seconds,
        "bytes_setup": made.bytes,
    }


def less(x: Any, y: Any) -> Any:
    return x < y


def names(protocol: str) -> tuple[str, ...]:
    """Those of the agents that a device of `protocol` needs: of all three where there is no such protocol."""
    return seated(protocol, NAMES)

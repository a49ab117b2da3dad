"""The network between the parties of a device: what it is like, and how they find out.

**Measuring.** All parties send to all, again and again, and take the time from one exchange to the next: first empty
ones, for the time of a message with all that the runtime adds to it, then filled ones, of which the largest give the
rate at which a party takes in what all others send it. The first of them open the windows of TCP. It runs as any
protocol does, so what it measures is what protocols will meet.

With every exchange a party tells all others how long the one before took it. The slowest party's time counts, and of
equal exchanges the quickest, since what else a machine does only adds. So all parties find the same link, and every
choice that is a function of it is the same at all of them.

**Security.** Times are no secrets: who takes part in a protocol sees them anyway. A party that lies about them makes
the others choose a form that is slower; all forms are equally secure. One that tells each of the others something
else is found out where they compare what they found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from time import perf_counter

import numpy as np

from ..errors import ConfigError, FrameError, ProgramMismatch
from .party import Party, Spec

EMPTY = 8
"""Exchanges for the latency."""

FILLED = (1 << 14, 1 << 16, 1 << 18, 1 << 18)
"""Bytes from each party to each other one, exchange by exchange; the largest for the rate."""

LONG = 0.25
"""Seconds of an exchange after which no larger ones follow: the rate is known well enough."""

SHORTEST = 1e-6
"""Seconds below which no time is measured."""

LONGEST = 60.0
"""Seconds of an exchange above which a party's word is not taken."""

_TIMES = Spec((1,), np.dtype(np.float64))
_FOUND = Spec((2,), np.dtype(np.float64))


@dataclass(frozen=True)
class Link:
    """A network between two parties.

    Attributes:
        bandwidth: of each party, in bits a second.
        latency: of one message, in seconds: half of the time there and back.
    """

    bandwidth: float
    latency: float

    def seconds(self, rounds: int, sent: float, work: float) -> float:
        """At the least, for a chain of `rounds` messages and `sent` bytes of the party that sends most."""
        return rounds * self.latency + 8 * sent / self.bandwidth + work

    def checked(self) -> Link:
        """The same, in floats. ConfigError for what no network is like."""
        bandwidth, latency = float(self.bandwidth), float(self.latency)
        if not (isfinite(bandwidth) and isfinite(latency) and bandwidth > 0 and latency >= 0):
            raise ConfigError(
                f"a link of {bandwidth} bits a second with a latency of {latency} s", wanted="finite, positive numbers"
            )
        return Link(bandwidth, latency)

    def __str__(self) -> str:
        """The rate, and the time there and back."""
        scale, unit = (1e9, "Gbit/s") if self.bandwidth >= 1e9 else (1e6, "Mbit/s")
        return f"{self.bandwidth / scale:.3g} {unit}, {2e3 * self.latency:.2g} ms"


async def measure(party: Party, members: Sequence[str], clock: Callable[[], float] = perf_counter) -> Link:
    """The link among all parties, the same at each: that of the slowest.

    Args:
        party: at least two of them; all call this at the same point of the run.
        members: their names, for errors.
        clock: in seconds.

    Raises:
        FrameError: a party told a time that is none.
        ProgramMismatch: the parties did not find the same.
    """
    times: list[tuple[int, float]] = []  # of each exchange: bytes, and seconds of the slowest party
    size, took = 0, 0.0
    for following in (*(0,) * EMPTY, *FILLED):
        began = clock()
        slowest = max(await _told(party, members, took, following))
        times.append((size, slowest))
        size, took = following, clock() - began
        if slowest > LONG and times[-1][0]:
            break
    times.append((size, max(await _told(party, members, took, 0))))
    found = _link(times[1:], party.n - 1)
    await _compare(party, members, found)
    return found


async def _told(party: Party, members: Sequence[str], took: float, size: int) -> list[float]:
    """One exchange: what every party says, beside so many bytes of filling to each of the others."""
    others = [rank for rank in range(party.n) if rank != party.rank]
    for rank in others:
        party.send(rank, np.array([took]))
        party.send(rank, bytes(size))
    said = [took]
    for rank in others:
        said.append(float((await party.recv(rank, _TIMES))[0]))
        await party.recv(rank, size)
        if not 0 <= said[-1] <= LONGEST:  # nor is it a number that compares with nothing
            raise FrameError(
                f"{members[rank]} took {said[-1]} s for a message", wanted=f"0 to {LONGEST:.0f}", party=members[rank]
            )
    return said


def _link(times: Sequence[tuple[int, float]], peers: int) -> Link:
    """From bytes and seconds of exchanges with so many peers each. Where most of a time is latency, half of it counts
    as that of the bytes: more cannot be told from so few.
    """
    best: dict[int, float] = {}
    for size, seconds in times:
        best[size] = min(best.get(size, seconds), seconds)
    latency, largest = max(best[0], SHORTEST), max(best)
    return Link(8 * peers * largest / max(best[largest] - latency, best[largest] / 2, SHORTEST), latency)


async def _compare(party: Party, members: Sequence[str], found: Link) -> None:
    """ProgramMismatch if another party has found another link."""
    mine = np.array([found.bandwidth, found.latency])
    others = [rank for rank in range(party.n) if rank != party.rank]
    for rank in others:
        party.send(rank, mine)
    for rank in others:
        if (await party.recv(rank, _FOUND)).tobytes() != mine.tobytes():
            raise ProgramMismatch(
                f"{members[party.rank]} and {members[rank]} have measured different links",
                wanted="what every party told, the same at all",
                party=members[rank],
            )

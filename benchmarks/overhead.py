"""The engine's own cost, without network and arithmetic: CPU per message and party, and per equation.

    python benchmarks/overhead.py [--json]

Claims: at most 25 microseconds per message and party, at most 30 per equation (a task that awaits two others and
does one multiplication's bookkeeping). All parties run in this one thread without the checks of the test world;
figures are the median of several runs, divided by the messages (or equations) of all parties.

    chain        100 dependent multiplications of scalars at a time, one message each
    wide         1,000 independent multiplications in one gather: tasks are spawned, messages share packets
    equations    1,000 equations in a window of 64, each joins two earlier ones, computes nothing and sends nothing
    draws        keys for random draws
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Coroutine
from time import process_time_ns
from typing import Any

import numpy as np

from argot.runtime import Party, cost, gather, join, spawn

PARTIES = 3
LIMITS = {"chain": 25.0, "wide": 25.0, "equations": 30.0}


class Bare:
    """A protocol whose multiplication only moves data."""

    def __init__(self, party: Party) -> None:
        self.party = party

    @cost(rounds="1", bits="3*k")
    async def mul(self, x: Any, y: Any) -> Any:
        return await self.party.rotate(x)


async def chain(p: Bare, length: int) -> None:
    x = np.zeros((), np.uint64)
    for _ in range(length):
        x = await p.mul(x, x)


async def wide(p: Bare, width: int) -> None:
    x = np.zeros((), np.uint64)
    await gather(*(p.mul(x, x) for _ in range(width)))


async def equations(p: Bare, count: int) -> None:
    async def equation(left: Any, right: Any) -> None:
        if left is not None:
            await join(left)
            await join(right)

    tasks: list[Any] = []
    for i in range(count):
        tasks.append(await spawn(equation(*((tasks[i // 2], tasks[i - 1]) if i else (None, None))), limit=64))


async def draws(p: Bare, count: int) -> None:
    for _ in range(count):
        p.party.key(p.party.rank, (p.party.rank + 1) % PARTIES)


def run(program: Callable[[Bare], Coroutine[Any, Any, Any]]) -> float:
    """CPU nanoseconds of one run of all parties."""
    keys = {frozenset({i, (i + 1) % PARTIES}): bytes(32) for i in range(PARTIES)}
    parties = [Party(rank, PARTIES, keys, bytes(32)) for rank in range(PARTIES)]
    began = process_time_ns()
    for party in parties:
        party.start(program(Bare(party)))
    while not all(party.finished for party in parties):
        packets = [party.advance() for party in parties]
        for sender, sent in enumerate(packets):
            for receiver, parts in sent.items():
                parties[receiver].deliver(sender, b"".join(parts))
    return process_time_ns() - began


def measure(repeats: int = 7) -> dict[str, float]:
    """Microseconds per message (chain, wide), equation or draw, at one party."""
    cases: dict[str, tuple[Callable[[Bare], Coroutine[Any, Any, Any]], int]] = {
        "chain": (lambda p: chain(p, 1000), 1000),
        "wide": (lambda p: wide(p, 1000), 1000),
        "equations": (lambda p: equations(p, 1000), 1000),
        "draws": (lambda p: draws(p, 1000), 1000),
    }
    return {
        name: statistics.median(run(program) for _ in range(repeats)) / 1e3 / count / PARTIES
        for name, (program, count) in cases.items()
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    options = arguments.parse_args()
    figures = measure()
    if options.json:
        print(json.dumps({"microseconds": figures, "limits": LIMITS}))
        return
    print(f"{'per party':12} {'microseconds':>12} {'at most':>8}")
    for name, value in figures.items():
        print(f"{name:12} {value:12.2f} {LIMITS.get(name, float('nan')):8.0f}")


if __name__ == "__main__":
    main()

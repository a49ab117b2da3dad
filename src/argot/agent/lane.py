"""The order in which one device admits its nodes: strictly by sequence number, at most `limit` at once.

All agents of a device apply the same rule to the same numbers, so they admit the same work in the same order
whatever arrives first. Number 0 of a device of several parties sets up its keys and runs alone.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from ..errors import ProgramMismatch

T = TypeVar("T")


class Lane(Generic[T]):
    """One device of one job."""

    def __init__(self, limit: int, opens: bool) -> None:
        """`opens`: node 0 must finish before any other starts."""
        self.limit, self.opens = max(limit, 1), opens
        self.next = 0
        self.running: set[int] = set()
        self.waiting: dict[int, T] = {}

    def offer(self, sequence: int, item: T) -> None:
        """Take in a node. ProgramMismatch if its number was used before."""
        if sequence < self.next or sequence in self.waiting:
            raise ProgramMismatch(f"number {sequence} of a device came twice", wanted="each number once")
        self.waiting[sequence] = item

    def admit(self) -> list[T]:
        """The nodes that may start now, in order."""
        admitted = []
        while self.next in self.waiting and len(self.running) < self.limit and not (self.opens and 0 in self.running):
            self.running.add(self.next)
            admitted.append(self.waiting.pop(self.next))
            self.next += 1
        return admitted

    def finish(self, sequence: int) -> None:
        self.running.discard(sequence)

    def close(self) -> None:
        """Admit nothing more."""
        self.waiting.clear()

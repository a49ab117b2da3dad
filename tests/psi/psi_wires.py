"""Moves the packets of parties in this process, notes them, changes them, and lets every party end in its own way."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from struct import unpack_from
from typing import Any

from argot.runtime.party import Party

Change = Callable[[int, int, bytes], bytes]
_HEADER = 32


class Wires:
    """Runs one coroutine a party. `messages` has (sender, receiver, payload) of all, as sent.

    Args:
        change: called with sender, receiver and payload; returns the payload that arrives.
    """

    def __init__(self, change: Change | None = None) -> None:
        self.change = change
        self.messages: list[tuple[int, int, bytes]] = []

    def run(self, programs: Sequence[Callable[[Party], Coroutine[Any, Any, Any]]]) -> list[Any]:
        """What each returned, or the exception it raised; a party that waits for ever returns None."""
        parties = [Party(rank, len(programs), {}, bytes(32)) for rank in range(len(programs))]
        for party, program in zip(parties, programs, strict=True):
            party.start(program(party))
        while packets := [
            (sender, receiver, b"".join(parts))
            for sender, party in enumerate(parties)
            for receiver, parts in party.advance().items()
        ]:
            for sender, receiver, packet in packets:
                parties[receiver].deliver(sender, self._passed(sender, receiver, packet))
        return [party.failure if party.failure else party.result() if party.finished else None for party in parties]

    def _passed(self, sender: int, receiver: int, packet: bytes) -> bytes:
        out, offset = [], 0
        while offset < len(packet):
            (size,) = unpack_from("<Q", packet, offset + 24)
            payload = packet[offset + _HEADER : offset + _HEADER + size]
            self.messages.append((sender, receiver, payload))
            arriving = payload if self.change is None else self.change(sender, receiver, payload)
            out += [packet[offset : offset + 24], len(arriving).to_bytes(8, "little"), arriving]
            out.append(bytes(-len(arriving) % 8))
            offset += _HEADER + size + (-size % 8)
        return b"".join(out)

    def between(self, sender: int, receiver: int) -> list[bytes]:
        """The payloads one party sent another, in order."""
        return [payload for s, r, payload in self.messages if (s, r) == (sender, receiver)]

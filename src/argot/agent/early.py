"""Words of other agents about nodes that our driver has not sent yet."""

from __future__ import annotations

from .wire import Agree

PER_PEER = 4096


class Early:
    """Bounded per peer; what is beyond is dropped, and the peer that floods us waits for its own node in vain."""

    def __init__(self) -> None:
        self._kept: dict[tuple[bytes, str, int], dict[str, Agree]] = {}
        self._count: dict[str, int] = {}

    def keep(self, peer: str, said: Agree) -> None:
        words = self._kept.setdefault((said.job, said.device, said.sequence), {})
        if peer not in words and self._count.get(peer, 0) < PER_PEER:
            words[peer] = said
            self._count[peer] = self._count.get(peer, 0) + 1

    def take(self, job: bytes, device: str, sequence: int) -> list[tuple[str, Agree]]:
        """What was said about one node; it is forgotten here."""
        words = self._kept.pop((job, device, sequence), {})
        for peer in words:
            self._count[peer] -= 1
        return list(words.items())

    def forget(self, job: bytes) -> None:
        for key in [key for key in self._kept if key[0] == job]:
            self.take(*key)

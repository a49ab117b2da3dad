"""Threads that are used again: starting one costs more than a small operation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

Work = Callable[[], object]


class Threads:
    """As many threads as there is work at once, kept for later work. They are daemons: work that never ends (a user's
    function may) does not keep the process alive."""

    def __init__(self) -> None:
        self._idle: list[SimpleQueue[Work]] = []

    def start(self, work: Work) -> None:
        """Call `work` in a thread of its own. It must not raise."""
        try:
            box = self._idle.pop()
        except IndexError:
            box = SimpleQueue()
            threading.Thread(target=self._serve, args=(box,), name="node", daemon=True).start()
        box.put(work)

    def _serve(self, box: SimpleQueue[Work]) -> None:
        while True:
            work = box.get()
            work()
            del work  # and what it holds, before this thread waits
            self._idle.append(box)

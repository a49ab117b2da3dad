"""Processes that functions of the user fork: they end when their agent does.

A forked child has the memory of the agent, but none of its threads: its links and sessions are closed to it
(`crates/link`), and what it returns from the user's function reaches nobody.
"""

from __future__ import annotations

import os
import threading
import time


def watch() -> None:
    """From now on a child of this process ends within half a second of it. Programs that it starts are left alone."""
    os.register_at_fork(after_in_child=_follow)


def _follow() -> None:
    threading.Thread(target=_until_gone, args=(os.getppid(),), daemon=True).start()


def _until_gone(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.25)
    os._exit(1)

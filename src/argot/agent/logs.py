"""An agent's own files: what it did (`agent.log`, JSON lines, never values) and why something failed (`errors.log`).

`errors.log` may quote data, so it is for the owner only; nothing in it leaves the agent but to a driver that acts
for the owner.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import structlog


class Logs:
    """The two files of one agent."""

    def __init__(self, directory: Path, name: str) -> None:
        self._lock = threading.Lock()
        self._file = (directory / "agent.log").open("a", buffering=1)
        self._errors = (directory / "errors.log").open("a", buffering=1)
        (directory / "errors.log").chmod(0o600)
        logger = structlog.wrap_logger(
            structlog.PrintLogger(self._file),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(sort_keys=True),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )
        self._logger = logger.bind(agent=name)

    def info(self, event: str, **facts: Any) -> None:
        """One line. Facts are names, sizes, hashes and codes only."""
        with self._lock:
            if not self._file.closed:
                self._logger.info(event, **facts)

    def error(self, reference: str, text: str) -> None:
        """The full text of an error, for the owner."""
        with self._lock:
            if not self._errors.closed:
                self._errors.write(f"--- {reference}\n{text}\n")

    def close(self) -> None:
        """What threads would still write is not written."""
        with self._lock:
            self._file.close()
            self._errors.close()

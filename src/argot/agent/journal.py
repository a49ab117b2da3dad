"""The agent's own record of what was opened: append-only lines of JSON, chained by hash.

One line for every opened value (what, to whom, shape, node hash), PSI run, value fetched by the driver, and failure
bit that others learned; never a value. The report of a driver is checked against these. `chain` is the BLAKE3 of
the line before and this one, so a line cannot be changed or removed without changing all that follow.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from argot._core import prf


class Journal:
    """One file, `journal.jsonl`, opened for appending. Safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal.jsonl"
        self._lock = threading.Lock()
        last = self._read()[-1:] if self.path.exists() else []
        self._chain = last[0]["chain"] if last else ""
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, job: bytes, node: int, **facts: Any) -> None:
        """Append one line; it is with the operating system when this returns."""
        with self._lock:
            entry = {"event": event, "job": job.hex(), "node": node, "time": round(time.time(), 3), **facts}
            self._chain = _link(self._chain, entry)
            line = json.dumps({**entry, "chain": self._chain}, sort_keys=True) + "\n"
            os.write(self._file, line.encode())

    def of_job(self, job: bytes) -> list[dict[str, Any]]:
        """The entries of one job, in order."""
        with self._lock:
            return [entry for entry in self._read() if entry["job"] == job.hex()]

    def count(self, event: str, **facts: Any) -> int:
        """How many entries of one kind have these facts, over all jobs."""
        with self._lock:
            entries = self._read()
        return sum(
            entry["event"] == event and all(entry.get(name) == value for name, value in facts.items())
            for entry in entries
        )

    def _read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def close(self) -> None:
        os.close(self._file)


def verify(path: Path) -> int:
    """The number of entries of a journal; ValueError names the first line whose chain does not fit."""
    chain = ""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines, 1):
        entry = json.loads(line)
        told = entry.pop("chain")
        chain = _link(chain, entry)
        if told != chain:
            raise ValueError(f"line {number} of {path} was changed, or one before it is missing")
    return len(lines)


def _link(chain: str, entry: dict[str, Any]) -> str:
    return bytes(prf.hash((chain + json.dumps(entry, sort_keys=True)).encode())).hex()

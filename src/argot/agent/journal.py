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

from ..errors import ConfigError, JournalBroken


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
        return _parsed(self.path)

    def close(self) -> None:
        os.close(self._file)


def verify(path: Path) -> int:
    """The number of entries of a journal; JournalBroken names the first line whose chain does not fit."""
    if not path.is_file():
        raise ConfigError(f"no journal {path}", wanted="the directory of an agent that has been started")
    chain, entries = "", _parsed(path)
    for number, entry in enumerate(entries, 1):
        told = entry.pop("chain")
        chain = _link(chain, entry)
        if told != chain:
            raise JournalBroken(
                f"line {number} of {path} was changed, or one before it is missing",
                wanted="the journal as it was written",
            )
    return len(entries)


def _parsed(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal. JournalBroken for a line that is none."""
    entries = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or not {"event", "job", "node", "chain"} <= entry.keys():
            raise JournalBroken(
                f"line {number} of {path} is no entry",
                wanted="the journal as it was written",
                todo="keep the file as evidence, and start the agent with another directory",
            )
        entries.append(entry)
    return entries


def _link(chain: str, entry: dict[str, Any]) -> str:
    return bytes(prf.hash((chain + json.dumps(entry, sort_keys=True)).encode())).hex()

"""A job as Perfetto and Chrome show it: which node and which equation ran when, at which party.

The Trace Event Format has processes and threads: a process is a party here. What overlaps without one being inside
the other gets threads of its own. Clocks are those of the agents: between machines they may differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..agent import wire

if TYPE_CHECKING:
    from .federation import Federation

Span = tuple[str, str, str, int, int]  # node, what, the user's line, begin and end in nanoseconds


def write_trace(federation: Federation, file: Path) -> Path:
    """Ask every agent when what ran, and write it down."""
    client = federation.client
    spans: dict[str, list[Span]] = {}
    for party in federation.parties:
        answer = client.ask(party.name, lambda request: wire.Query(client.job, request, "trace"))
        spans[party.name] = msgspec.msgpack.decode(answer, type=list[Span])
    file.write_text(json.dumps({"traceEvents": list(events(spans)), "displayTimeUnit": "ms"}), encoding="utf-8")
    return file


def events(spans: dict[str, list[Span]]) -> Iterator[dict[str, Any]]:
    """The events of all parties, times in microseconds from the first."""
    first = min((span[3] for found in spans.values() for span in found), default=0)
    for process, (party, found) in enumerate(spans.items()):
        yield {"ph": "M", "name": "process_name", "pid": process, "args": {"name": party}}
        for thread, (node, what, line, begin, end) in _threads(found):
            yield {
                "ph": "X",
                "name": what,
                "cat": "node" if what == node else "equation",
                "pid": process,
                "tid": thread,
                "ts": (begin - first) / 1e3,
                "dur": (end - begin) / 1e3,
                "args": {"node": node, "line": line},
            }


def _threads(spans: list[Span]) -> Iterator[tuple[int, Span]]:
    """Each span with the first thread on which it is inside of what is open, or after all that was."""
    open_: list[list[int]] = []  # for each thread the ends of what is open there, the outermost first
    for span in sorted(spans, key=lambda span: (span[3], -span[4])):
        begin, end = span[3], span[4]
        for ends in open_:
            while ends and ends[-1] <= begin:
                ends.pop()
        fits = (thread for thread, ends in enumerate(open_) if not ends or end <= ends[-1])
        thread = next(fits, len(open_))
        if thread == len(open_):
            open_.append([])
        open_[thread].append(end)
        yield thread, span

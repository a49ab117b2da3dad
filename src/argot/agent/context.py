"""What an operation gets to work with, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..devices.schema import Schema
from ..errors import UnknownNameError
from ..graph.node import Node
from ..runtime.meter import LINE
from .store import Entry
from .wire import Usage

if TYPE_CHECKING:
    from ..config import AgentConfig
    from ..runtime.meter import Span
    from ..runtime.party import Party
    from ..runtime.session import Meter, Session
    from .journal import Journal


OTHER = "other"
"""The row of what is sent by no operation that declares a cost: intersections, values that go from party to party."""


@dataclass
class Context:
    """One run of one node at one party.

    `inputs` are the objects behind the node's bindings (None where another party holds them). `prepared` is what
    the operation's own `prepare` returned. `sessions` are the open devices of the job by name.
    `report(done, total)` tells the driver how far the work is.
    """

    node: Node
    me: str
    link: Any
    directory: Path
    secret: bytes
    journal: Journal
    config: AgentConfig | None
    code: str
    inputs: list[Entry | None]
    sessions: dict[str, Session]
    report: Callable[[int, int], object]
    prepared: Any = None
    usage: Usage = field(default_factory=Usage)
    notes: dict[str, Any] = field(default_factory=dict)
    spans: tuple[Span, ...] = ()
    _told: float = 0.0

    @property
    def rank(self) -> int:
        return self.node.parties.index(self.me)

    @property
    def label(self) -> bytes:
        """Names this execution, the same at every party."""
        return self.node.job + self.node.device.name.encode() + self.node.sequence.to_bytes(8, "little")

    @property
    def session(self) -> Session:
        """The device's session with the other parties."""
        return self.sessions[self.node.device.name]

    def run(self, fn: Callable[[Party], Coroutine[Any, Any, Any]]) -> Any:
        """Run a protocol with the other parties; what it cost goes into `usage`."""
        result, meter = self.session.run(fn, node=self.node.digest(), label=self.label)
        self.spans = meter.spans
        self.usage = Usage(
            seconds=meter.seconds,
            bytes_sent=meter.sent_bytes,
            bytes_ahead=meter.ahead_bytes,
            wire_bytes=meter.wire_bytes,
            messages=meter.messages,
            packets=meter.packets,
            rounds=meter.rounds,
            operations=_operations(meter),
            lines=tuple(
                (line.name.removeprefix(LINE), line.calls, line.ns / 1e9, line.total("bits") // 8, line.rounds)
                for line in meter.record.lines
            ),
        )
        return result

    def progress(self, done: int, total: int) -> None:
        """Tell the driver how far the work is, a few times a second at most."""
        now = time.monotonic()
        if done >= total or now - self._told > 0.2:
            self._told = now
            self.report(done, total)

    def rounds(self, where: str, done: int, total: int | None) -> None:
        """`progress` for the rounds of a loop of a program."""
        if total is not None:
            self.progress(done, total)

    def cancel(self) -> None:
        """End the run as soon as it next waits for a message."""
        if self.node.device.name in self.sessions:
            self.session.cancel(self.label)


def _operations(meter: Meter) -> tuple[tuple[str, int, float, int, int], ...]:
    """A row for each path of operations. What was sent outside of all of them is the row `OTHER`, so that the bytes of
    the outermost rows add up to what the run sent; its seconds and rounds are those that the others leave.
    """
    record = meter.record.without_lines()
    rows = [(row["path"], row["calls"], row["seconds"], row["bytes"], row["rounds"]) for row in record.rows()]
    rows = [row for row in rows if row[0]]
    if record.messages:
        outer = [row for row in rows if "/" not in row[0]]
        seconds = max(meter.seconds - sum(row[2] for row in outer), 0.0)
        rounds = max(meter.rounds - sum(row[4] for row in outer), 0)
        rows.append((OTHER, 1, seconds, record.bits // 8, rounds))
    return tuple(rows)


Results = dict[str, tuple[Any, Schema]]


@cache
def find(op: str) -> ModuleType:
    """The module of an operation, by file name. UnknownNameError lists those there are."""
    names = sorted(p.stem for p in (Path(__file__).parent / "ops").glob("*.py") if p.stem != "__init__")
    if op not in names:
        raise UnknownNameError(f"operation {op!r}", wanted=f"one of {', '.join(names)}")
    return import_module(f"{__package__}.ops.{op}")

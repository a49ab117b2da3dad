"""One driver's work at one agent: its devices, its objects, and the nodes that are under way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from time import perf_counter_ns, time_ns
from typing import Literal

from ..config import User
from ..devices.schema import Schema, resolve
from ..errors import ArgotError, InputError, PartyLost, PermissionRefused, ProgramMismatch
from ..graph.lineage import Source
from ..graph.node import Binding, DeviceSpec, Node
from ..runtime.meter import Span
from ..runtime.session import Session
from .context import Context
from .failures import public
from .lane import Lane
from .rendezvous import Rendezvous
from .store import Entry, ObjectStore

TRACE = 50_000  # spans that an agent remembers of a job: the last ones
MOST = 16  # nodes of a shared device at once, whatever it asks for; the same at every agent


@dataclass
class Run:
    """One node at this agent, from admission to its end."""

    node: Node
    hash: bytes
    rendezvous: Rendezvous | None = None
    inputs: list[Entry | None] = field(default_factory=list)
    waiting_for: int = 0
    doubles: bool = False
    state: Literal["waiting", "preparing", "agreeing", "running", "done"] = "waiting"
    context: Context = None  # type: ignore[assignment] # set by `prepare`
    began: int = 0  # `perf_counter_ns`

    @property
    def key(self) -> tuple[str, int]:
        return self.node.device.name, self.node.sequence


@dataclass
class Job:
    """`driver` is the link name of the client; `user` is None for an embedded driver."""

    id: bytes
    driver: str
    user: User | None
    acts_for_me: bool
    functions: int = 4  # of the user, at once
    lanes: dict[str, Lane[Run]] = field(default_factory=dict)
    devices: dict[str, DeviceSpec] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    objects: ObjectStore = field(default_factory=ObjectStore)
    runs: dict[tuple[str, int], Run] = field(default_factory=dict)
    broken: dict[str, ArgotError] = field(default_factory=dict)  # devices that could not be opened, and why
    lost: str | None = None
    trace: deque[tuple[str, *Span]] = field(default_factory=lambda: deque(maxlen=TRACE))

    def lane(self, device: DeviceSpec) -> Lane[Run]:
        """The lane of a device; the first node fixes what the name stands for."""
        self.devices.setdefault(device.name, device)
        if device.name not in self.lanes:
            alone = len(device.parties) == 1
            self.lanes[device.name] = Lane(self.functions if alone else min(device.limit, MOST), opens=not alone)
        return self.lanes[device.name]

    def check_device(self, device: DeviceSpec, me: str) -> None:
        """ProgramMismatch if the name stood for another device before, or a device that something outside belongs to is
        not what this member knows; why it could not be opened, if so."""
        if device.name in self.broken:
            raise self.broken[device.name]
        known = self.devices[device.name]
        if known != device:
            raise ProgramMismatch(
                f"the device {device.name} changed to {device}", wanted=str(known), todo="give it another name"
            )
        if device.kind == "outside" and me in device.inside:
            inner = self.devices.get(device.of)
            if inner is None or not device.is_outside_of(inner):
                raise ProgramMismatch(f"{device} is outside of {device.of}", wanted=f"members and ring of {inner}")

    def check_alive(self, node: Node) -> None:
        """PartyLost once a party of one of this job's devices is gone."""
        if self.lost is not None and len(node.parties) > 1:
            raise PartyLost(f"{self.lost} is gone", todo="start again once it is back", party=self.lost, node=node.name)

    def note(self, run: Run) -> None:
        """Remember when a node, and the equations of its program, began and ended."""
        name = run.node.name
        self.trace.extend((name, *span) for span in run.context.spans)
        self.trace.append((name, name, run.node.where, run.began, perf_counter_ns()))

    def spans(self) -> list[tuple[str, str, str, int, int]]:
        """What is remembered: node, what, the user's line, begin and end in nanoseconds since 1970."""
        offset = time_ns() - perf_counter_ns()
        return [(node, what, line, begin + offset, end + offset) for node, what, line, begin, end in self.trace]

    def close(self) -> None:
        """Let go of the sessions of its devices."""
        for session in self.sessions.values():
            session.close()

    def is_over(self, device: str, sequence: int) -> bool:
        """True for a node that was admitted and has ended."""
        return device in self.lanes and sequence < self.lanes[device].next

    def held(self, node: Node, me: str) -> list[Entry | None]:
        """The objects behind a node's inputs, None for those of other parties.

        Raises PermissionRefused if the driver describes an object otherwise than this agent recorded it.
        """
        return [self._held(binding, node, me) for binding in node.inputs]

    def _held(self, binding: Binding, node: Node, me: str) -> Entry | None:
        if binding.visibility == "private" and binding.owner != me:
            return None
        if binding.visibility != "private" and me not in node.device.inside:
            return None
        entry = self.objects.get(binding.object)
        said = entry.said
        if (binding.owner, binding.visibility) != (said.owner, said.visibility):
            raise public(
                PermissionRefused(
                    f"{binding.object} was called {binding.visibility} of {binding.owner}",
                    wanted=f"{said.visibility} of {said.owner}",
                    party=me,
                    node=node.name,
                )
            )
        if tuple(binding.origins) != Source(said.origins, said.columns_of, said.columns).part(binding.path):
            raise public(
                PermissionRefused(
                    f"{binding.object} was said to come from {', '.join(binding.origins) or 'nowhere'}",
                    wanted="its true origins",
                    party=me,
                    node=node.name,
                )
            )
        return entry


def schema_of(entry: Entry, binding: Binding) -> Schema:
    """The schema of a bound part. InputError if the binding says otherwise."""
    if entry.schema is None:
        raise InputError(f"{binding.object} has no schema yet")
    found = resolve(entry.schema, binding.path)
    if binding.schema is not None and found != binding.schema:
        raise public(ProgramMismatch(f"{binding.object} was bound as {binding.schema}", wanted=str(found)))
    return found


def first_failure(entries: list[Entry | None]) -> ArgotError | None:
    for entry in entries:
        if entry is not None and entry.state == "failed":
            return entry.failure
    return None

"""The objects one agent holds for one job: values of its own party, its shares, public values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from ..devices.schema import Schema
from ..errors import ArgotError, InputError
from ..graph.node import Output, Visibility


@dataclass
class Entry:
    """One object. `said` is what the node declared; `value` is there once the state is `ready`.

    For private objects of this party the value is the Python object itself. For objects of an MPC device it is a
    list of VM values, one a leaf of the schema.
    """

    said: Output
    state: Literal["pending", "ready", "failed"] = "pending"
    value: Any = None
    schema: Schema | None = None
    failure: ArgotError | None = None
    waiters: list[Callable[[], None]] = field(default_factory=list)
    unwanted: bool = False

    @property
    def visibility(self) -> Visibility:
        return self.said.visibility

    def settle(self) -> list[Callable[[], None]]:
        """Those who wait for the object, once."""
        waiters, self.waiters = self.waiters, []
        return waiters


class ObjectStore:
    """Objects by id. Only the agent's event loop touches it."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def expect(self, said: Output) -> bool:
        """An object that a node will make; False if there is one of that name."""
        return self._entries.setdefault(said.object, entry := Entry(said)) is entry

    def get(self, name: str) -> Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise InputError(f"there is no object {name} here", todo="it may have been dropped; make it again")
        return entry

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def put(self, name: str, value: Any, schema: Schema | None) -> list[Callable[[], None]]:
        entry = self._entries.get(name)
        if entry is None:
            return []
        entry.state, entry.value, entry.schema = "ready", value, schema
        if entry.unwanted:
            del self._entries[name]
        return entry.settle()

    def fail(self, name: str, failure: ArgotError) -> list[Callable[[], None]]:
        entry = self._entries.get(name)
        if entry is None or entry.state == "ready":
            return []
        entry.state, entry.failure = "failed", failure
        return entry.settle()

    def drop(self, names: tuple[str, ...]) -> None:
        """Forget objects; what is still to come is forgotten when it comes. Nodes that run keep what they use."""
        for name in names:
            entry = self._entries.get(name)
            if entry is None:
                continue
            if entry.state == "pending":
                entry.unwanted = True
            else:
                del self._entries[name]

    def __len__(self) -> int:
        return len(self._entries)

"""Where things run: parties and devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import msgspec

from ..agent import bodies
from ..devices.schema import limits
from ..graph.graph import Call, Lowered, Record
from ..graph.node import DeviceSpec
from ..runtime.link import Link

if TYPE_CHECKING:
    from .federation import Federation
    from .handles import Handle


class Party:
    """One party of a federation, and its plain device."""

    def __init__(self, federation: Federation, name: str) -> None:
        self.federation, self.name = federation, name
        self.spec = DeviceSpec("plain", name, (name,))

    def table(
        self,
        name: str,
        columns: list[str] | None = None,
        text: list[str] | None = None,
        ranges: Mapping[str, tuple[float | None, float | None]] | None = None,
    ) -> Handle:
        """A table of this party: a name from its agent's configuration, or a CSV file's path in embedded mode.

        Args:
            name: the table, or the path as the party's agent sees it.
            columns: which columns; all that are offered by default.
            text: columns that stay text whatever they look like, such as ids.
            ranges: public limits of columns, such as {"age": (0, 120)}; None for no limit. As in `argot.spec`.

        Errors of reading (no such file or column, a cell outside of its range) are raised when the handle is used.
        """
        declared = tuple((of, *limits("float64", low, high)) for of, (low, high) in (ranges or {}).items())
        wanted = bodies.Table(None if columns is None else tuple(columns), tuple(text or ()), declared)
        body = msgspec.msgpack.encode(wanted)
        call = Call(self.spec, "table", name, lambda _: Lowered(body), owners=[self.name], columns=wanted.columns or ())
        return self.federation.submit(call)[0]

    def load(self, name: str) -> Handle:
        """A value of this party that `Federation.save` kept under this name."""
        return self.federation.load(self, name)

    def __repr__(self) -> str:
        return f"Party({self.name!r})"


class MpcDevice:
    """Parties that compute on secret shares."""

    def __init__(
        self,
        federation: Federation,
        spec: DeviceSpec,
        opened: Record,
        check: str | None = None,
        general: frozenset[str] = frozenset(),
    ) -> None:
        self.federation, self.spec, self.opened = federation, spec, opened
        self.check, self.general = check, general
        self.brought: WeakKeyDictionary[Handle, Handle] = WeakKeyDictionary()
        """Secrets that were values of parties outside, by the handles of those values."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def parties(self) -> tuple[Party, ...]:
        return tuple(self.federation[name] for name in self.spec.parties)

    @property
    def link(self) -> Link:
        """The network between the parties, as it was given or as they have measured it. Waits until the device is open,
        and raises why it could not be opened."""
        self.federation.wait_for(self.opened)
        return self._link()

    def _link(self) -> Link:
        return Link(*self.opened.notes[self.spec.parties[0]]["link"]).checked()

    def load(self, name: str) -> Handle:
        """A secret that was saved under this name by a device of the same parties and protocol."""
        return self.federation.load(self, name)

    def __repr__(self) -> str:
        s = self.spec
        general = f", general={sorted(self.general)}" if self.general else ""
        link = f", link={str(self._link())!r}" if self.opened.state == "ready" else ""
        return (
            f"MpcDevice({s.members}; protocol={s.protocol!r}, ring={s.ring}, "
            f"fraction_bits={s.fraction_bits}{general}{link})"
        )

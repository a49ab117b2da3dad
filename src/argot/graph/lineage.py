"""From whose columns a value comes.

An origin is a text such as "alice:patients.age", or "alice:load()" for what a function of alice made out of nothing
that the graph knows. The name of a table has no dot; that of a column may have some. Drivers compute origins when
they build a node; every owner checks those of its own objects, and every agent checks that a node's outputs inherit
what its inputs bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from ..devices.schema import Path
from .node import Binding, DeviceSpec, Op

Origins = tuple[str, ...]


class Source(NamedTuple):
    """What is known of where an object comes from; see `node.Output`."""

    origins: Origins = ()
    columns_of: str = ""
    columns: tuple[str, ...] = ()

    def part(self, path: Path) -> Origins:
        """The origins of one part: a column where the object is a table of known columns."""
        if not self.columns_of:
            return self.origins
        first = path[0] if path else None
        whole = self.columns or ("*",)
        names = first if isinstance(first, tuple) else (first,) if isinstance(first, str) else whole
        return tuple(sorted({*self.origins, *(f"{self.columns_of}.{name}" for name in names)}))


NOWHERE = Source()


def inherited(bindings: Sequence[Binding]) -> Origins:
    return tuple(sorted({origin for binding in bindings for origin in binding.origins}))


def of_outputs(
    op: Op,
    device: DeviceSpec,
    title: str,
    bindings: Sequence[Binding],
    keys: Sequence[Sequence[str]] = (),
    columns: Sequence[str] = (),
) -> list[Source]:
    """Where every output of a node comes from.

    Args:
        keys: the key columns of a PSI, one list an owner.
        columns: those that a table was asked for.
    """
    if op == "table":
        return [Source((), f"{device.parties[0]}:{PurePath(title).stem.replace('.', '_')}", tuple(columns))]
    if op == "call" and not bindings:
        return [Source((), f"{device.parties[0]}:{title.rpartition(':')[2]}()")]
    if op == "psi":
        joined = {f"{table_of(b)}.{name}" for b, names in zip(bindings, keys, strict=True) for name in names}
        return [_joined(binding, joined) for binding in bindings]
    if op in ("call", "run", "share", "reveal"):
        return [Source(inherited(bindings))]
    return []


def _joined(binding: Binding, keys: set[str]) -> Source:
    """A table after a join: its own columns, and the keys of both sides, which chose the rows."""
    table = table_of(binding)
    own = {origin for origin in binding.origins if origin.startswith(table + ".")}
    columns = sorted(origin.removeprefix(table + ".") for origin in own)
    return Source(tuple(sorted((set(binding.origins) - own) | keys)), table, () if "*" in columns else tuple(columns))


def table_of(binding: Binding) -> str:
    """The table a binding is taken from: what stands before the columns in its origins (the owner's own first)."""
    own = [origin for origin in binding.origins if origin.startswith(f"{binding.owner}:")]
    names = sorted({origin.partition(".")[0] for origin in own or binding.origins})
    return names[0] if names else f"{binding.owner}:{binding.object}"

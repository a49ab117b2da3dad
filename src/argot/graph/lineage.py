"""From whose columns a value comes.

An origin is a text such as "alice:patients.age", or "alice:load()" for what a function of alice made out of nothing
that the graph knows. Drivers compute origins when they build a node; every owner checks those of its own objects,
and every agent checks that a node's outputs inherit what its inputs bring.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from ..devices.schema import Path
from .node import Binding, DeviceSpec, Op

Origins = tuple[str, ...]


def of_part(origins: Origins, columns_of: str, path: Path) -> Origins:
    """The origins of one part of an object: a column where the object is a table of known columns."""
    if not columns_of:
        return origins
    first = path[0] if path else None
    names = first if isinstance(first, tuple) else (first,) if isinstance(first, str) else ("*",)
    return tuple(sorted({*origins, *(f"{columns_of}.{name}" for name in names)}))


def inherited(bindings: Sequence[Binding]) -> Origins:
    return tuple(sorted({origin for binding in bindings for origin in binding.origins}))


def of_outputs(
    op: Op, device: DeviceSpec, title: str, bindings: Sequence[Binding], keys: Sequence[Sequence[str]] = ()
) -> list[tuple[Origins, str]]:
    """(origins, columns_of) of every output of a node. `keys` are the key columns of a PSI, one list an owner."""
    if op == "table":
        return [((), f"{device.parties[0]}:{PurePath(title).stem}")]
    if op == "call" and not bindings:
        return [((), f"{device.parties[0]}:{title.rpartition(':')[2]}()")]
    if op == "psi":
        joined = {f"{table_of(b)}.{name}" for b, names in zip(bindings, keys, strict=True) for name in names}
        return [_joined(binding, joined) for binding in bindings]
    if op in ("call", "run", "reveal"):
        return [(inherited(bindings), "")]
    return []


def _joined(binding: Binding, keys: set[str]) -> tuple[Origins, str]:
    """A table after a join: its own columns, and the keys of both sides, which chose the rows."""
    source = table_of(binding)
    own = {origin for origin in binding.origins if origin.startswith(source + ".")}
    return tuple(sorted({*binding.origins, *keys} - own)), source


def table_of(binding: Binding) -> str:
    """The table a binding is taken from: what stands before the columns in its origins (the owner's own first)."""
    own = [origin for origin in binding.origins if origin.startswith(f"{binding.owner}:")]
    names = sorted({origin.rpartition(".")[0] or origin for origin in own or binding.origins})
    return names[0] if names else f"{binding.owner}:{binding.object}"

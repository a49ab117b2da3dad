"""Parts of a device's object: the VM values behind a path."""

from __future__ import annotations

from ..devices.schema import leaves, resolve
from ..graph.node import Binding
from ..vm.values import Value
from .store import Entry


def select(entry: Entry, binding: Binding) -> list[Value]:
    """The values of the part that is bound, in the order of its leaves."""
    assert entry.schema is not None
    names = [path for path, _ in leaves(entry.schema)]
    path = binding.path
    if path and isinstance(path[-1], tuple):
        chosen = [names.index((*path[:-1], name)) for name in path[-1]]
    else:
        chosen = [i for i, name in enumerate(names) if name[: len(path)] == path]
    assert len(chosen) == len(list(leaves(resolve(entry.schema, path))))
    return [entry.value[i] for i in chosen]

"""Operations by name: `ops.find("mul")`. One file a family; classes that derive from `Op` are found, not registered."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from ...errors import UnsupportedError
from .base import Op


def _collect() -> dict[str, Op]:
    found: dict[str, Op] = {}
    for info in iter_modules(__path__):
        for value in vars(import_module(f"{__name__}.{info.name}")).values():
            if isinstance(value, type) and issubclass(value, Op) and hasattr(value, "name"):
                found[value.name] = value()
    return dict(sorted(found.items()))


ALL = _collect()


def find(name: str) -> Op:
    """The operation of that name. Raises UnsupportedError, which lists those there are."""
    try:
        return ALL[name]
    except KeyError:
        raise UnsupportedError(f"operation {name[:40]!r}", wanted="one of " + ", ".join(ALL)) from None

"""Secure multi-party computation: protocols by file name.

    mpc.names()        -> ["aby3", "plain"]
    mpc.load("aby3")   -> the class Aby3

A protocol is a file of this folder with a line `class Name(Protocol):`; nothing is registered.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path

from ..errors import UnknownNameError
from .protocol import Protocol

_CLASS = re.compile(r"^class (\w+)\(Protocol\):", re.MULTILINE)


@cache
def _classes() -> dict[str, str]:
    """File name -> name of its class. Read, not imported: a protocol that nobody uses costs nothing."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if match := _CLASS.search(path.read_text(encoding="utf-8")):
            found[path.stem] = match[1]
    return found


def names() -> list[str]:
    """The protocols there are, by file name."""
    return list(_classes())


def load(name: str) -> type[Protocol]:
    """The class of a protocol. Raises UnknownNameError, which lists the valid names."""
    if name not in names():
        raise UnknownNameError(f"protocol {name!r}", wanted="one of " + ", ".join(names()))
    protocol: type[Protocol] = getattr(import_module(f"{__name__}.{name}"), _classes()[name])
    return protocol

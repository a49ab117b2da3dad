"""Secure multi-party computation: protocols by file name.

    mpc.names()        -> ["aby3", "cheetah", "plain", "semi2k"]
    mpc.load("aby3")   -> the class Aby3
    mpc.forms()        -> each with the numbers of parties that it is tested with

A protocol is a file of this folder with a final class; nothing is registered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import ConfigError, UnknownNameError
from .protocol import Protocol

_CLASS = re.compile(r"^@final\nclass (\w+)\([\w, .]+\):", re.MULTILINE)


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


@dataclass(frozen=True)
class Form:
    """A protocol with a number of members, of which the last may be a dealer. Called like the protocol's class, of
    which it has all attributes."""

    protocol: type[Protocol]
    parties: int
    dealer: bool = False

    @property
    def kind(self) -> type[Protocol]:
        """The class: with a dealer it is another one.

        Raises:
            ConfigError: a dealer, for a protocol that has no use for one.
        """
        if not self.dealer:
            return self.protocol
        found = self.protocol.dealt()
        if found is None:
            name = self.protocol.__name__.lower()
            raise ConfigError(f"{name} with a dealer", wanted="no dealer", todo="leave it out: it has no use for one")
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> Protocol:
        options = kwargs | {"dealer": self.dealer}
        return self.kind(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)

    def __repr__(self) -> str:
        name = self.protocol.__name__.lower()
        if self.protocol.fits(self.protocol.parties + 1):
            name += f"({self.parties - self.dealer})"
        return name + ("+dealer" if self.dealer else "")


def forms() -> Iterator[Form]:
    """All protocols with the numbers of parties that the conformance suite runs them with."""
    for name in names():
        protocol = load(name)
        for parties, dealer in protocol.forms or ((protocol.parties, False),):
            yield Form(protocol, parties, dealer)

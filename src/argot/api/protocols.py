"""The protocols there are, and which one fits: `argot.protocols()`, and `fed.mpc(..., protocol="auto")`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .. import mpc
from ..errors import ConfigError
from ..mpc.protocol import About, Protocol

ADVERSARIES = ("semi-honest", "malicious")


class Protocols(dict[str, About]):
    """What to know of each protocol, by name. Prints as text, shows as a table in notebooks."""

    def __repr__(self) -> str:
        lines = []
        for name, about in self.items():
            lines.append(name)
            lines += [f"    {title + ':':<14}{text}" for title, text in _rows(about)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        heads = "".join(f"<th>{title}</th>" for title, _ in _rows(next(iter(self.values()))))
        rows = "".join(
            f"<tr><td><b>{name}</b></td>" + "".join(f"<td>{text}</td>" for _, text in _rows(about)) + "</tr>"
            for name, about in self.items()
        )
        return f"<table><tr><th>protocol</th>{heads}</tr>{rows}</table>"


def _rows(about: About) -> list[tuple[str, Any]]:
    return list(asdict(about).items())


def protocols() -> Protocols:
    """The protocols that hide something: how many parties, against whom, what is assumed, what leaks by design."""
    found = Protocols()
    for name, protocol in hiding().items():
        for title, kind in ((name, protocol), (f"{name}+dealer", protocol.dealt())):
            if kind is not None and kind.about is not None:
                found[title] = kind.about
    return found


def hiding() -> dict[str, type[Protocol]]:
    """The protocols that hide something, by name."""
    return {name: protocol for name in mpc.names() if (protocol := mpc.load(name)).about is not None}


def fitting(parties: int, dealer: bool, adversary: str) -> dict[str, type[Protocol]]:
    """The protocols for so many parties that compute.

    Raises:
        ConfigError: none fits; says what would.
    """
    if adversary not in ADVERSARIES:
        raise ConfigError(f"adversary={adversary!r}", wanted=" or ".join(map(repr, ADVERSARIES)))
    known = hiding()
    if adversary == "malicious":
        raise ConfigError(
            "a protocol against parties that deviate",
            wanted='adversary="semi-honest": parties that follow the program and analyse what they see',
            todo="no protocol here checks what others do; SECURITY.md says what that means",
        )
    kinds = {name: p.dealt() if dealer else p for name, p in known.items()}
    found = {name: kind for name, kind in kinds.items() if kind is not None and kind.fits(parties)}
    if not found:
        raise ConfigError(
            f"a protocol for {parties} parties{' and a dealer' if dealer else ''}",
            wanted=", ".join(f"{name}: {p.parties_wanted()}" for name, p in known.items()),
            todo="name other parties",
        )
    return found


def reason(name: str, kind: type[Protocol], parties: int, dealer: bool, adversary: str) -> str:
    """Why a protocol was taken, but for its speed."""
    assert kind.about is not None
    why = "a dealer was named" if dealer else "no dealer was named, and none is needed"
    return f"{name}: {parties} parties, {adversary}; {why}; {kind.about.threshold}"


def seated(protocol: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the names that a device of a protocol needs, "NAME" or "NAME+dealer", in their order; all of them where
    there is no such protocol."""
    name, dealt, _ = protocol.partition("+dealer")
    found = hiding().get(name)
    return tuple(names if found is None else names[: found.parties + bool(dealt)])

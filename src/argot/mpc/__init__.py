"""Secure multi-party computation: protocols by file name.

    mpc.names()        -> ["aby3", "plain"]
    mpc.load("aby3")   -> the class Aby3

A protocol is a file of this folder whose one public class derives from `Protocol`; nothing is registered.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from ..errors import UnknownNameError
from .protocol import Protocol

_NOT_PROTOCOLS = {"__init__", "protocol", "bits", "carry", "aby3_functions"}


def names() -> list[str]:
    """The protocols there are, by file name."""
    return sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem not in _NOT_PROTOCOLS)


def load(name: str) -> type[Protocol]:
    """The class of a protocol. Raises UnknownNameError, which lists the valid names."""
    if name not in names():
        raise UnknownNameError(f"protocol {name!r}", wanted="one of " + ", ".join(names()))
    module = import_module(f"{__name__}.{name}")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Protocol) and value.__module__ == module.__name__
    )

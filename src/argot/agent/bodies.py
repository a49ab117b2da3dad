"""What the body of a node holds, by operation; the driver writes it, the agents read it. All of it msgpack.

A `call` has one byte, "P" or "I", and then a frozen function or the arguments of an installed one (`devices.plain`).
"""

from __future__ import annotations

import msgspec

from ..devices.schema import Schema


class Table(msgspec.Struct, frozen=True):
    """Which columns, all by default; which of them are text whatever they look like; and declared limits of some."""

    columns: tuple[str, ...] | None = None
    text: tuple[str, ...] = ()
    ranges: tuple[tuple[str, float | None, float | None], ...] = ()


class Run(msgspec.Struct, frozen=True):
    """A program, the tree that its results form, and which leaf of the inputs each parameter takes."""

    program: bytes
    schema: Schema
    order: tuple[int, ...]


class Reveal(msgspec.Struct, frozen=True):
    """Who gets the value, and what it looks like. Of one that goes outside of an MPC device, also whether each leaf is
    secret (-2), public (-1) or known to a rank."""

    to: str
    schema: Schema
    leaves: tuple[int, ...] = ()


class Psi(msgspec.Struct, frozen=True):
    """The key columns of each of the two owners, and whether an empty intersection is accepted."""

    keys: tuple[tuple[str, ...], tuple[str, ...]]
    allow_empty: bool = False

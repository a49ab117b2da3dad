"""One node of the graph: what runs where, on what, and who gets the result.

A node is what the parties of a device agree on before they run it. Its hash covers every field below: the body
(IR, or the function), the bindings of its inputs, visibility and recipients of its outputs, the device with its
protocol, ring, fraction bits and kernel version, and the sequence number on that device.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

import msgspec

from argot._core import prf

from .. import mpc
from ..devices.mpc import check
from ..devices.schema import Path, Schema
from ..runtime.link import Link

# Changes whenever the kernels or protocols change what they put on the wire.
KERNEL_VERSION = "5"

Kind = Literal["plain", "mpc", "pair", "psi", "outside"]
Op = Literal["open", "call", "table", "run", "share", "reveal", "psi", "save", "load", "delete"]
Visibility = Literal["private", "secret", "public"]


class DeviceSpec(msgspec.Struct, frozen=True):
    """A device as all its parties see it. `parties` are in rank order, a dealer last; `limit` nodes run at once; `link`
    is the network between them, None if they measure it.

    One of kind "outside" is for moves between the MPC device `of`, whose members come first, and a party that is none
    of them, which comes last.
    """

    kind: Kind
    name: str
    parties: tuple[str, ...]
    protocol: str = ""
    ring: int = 0
    fraction_bits: int = 0
    limit: int = 4
    link: Link | None = None
    dealer: bool = False
    of: str = ""
    kernels: str = KERNEL_VERSION

    def __str__(self) -> str:
        if self.kind == "plain":
            return self.parties[0]
        detail = f" {self.protocol}" if self.protocol else ""
        return f"{self.name}({self.members}{detail})"

    def form(self) -> mpc.Form:
        """The protocol of an MPC device. UnknownNameError or ConfigError for one that cannot be."""
        return check(self.protocol, len(self.inside), self.ring, self.fraction_bits, self.dealer)

    @property
    def inside(self) -> tuple[str, ...]:
        """The members of the MPC device: all parties but one outside."""
        return self.parties[:-1] if self.kind == "outside" else self.parties

    def is_outside_of(self, device: DeviceSpec) -> bool:
        """Whether this is for moves between that device and a party outside."""
        mine = (self.of, self.inside, self.protocol, self.ring, self.fraction_bits, self.dealer)
        s = device
        theirs = (s.name, s.parties, s.protocol, s.ring, s.fraction_bits, s.dealer)
        return s.kind == "mpc" and mine == theirs

    @property
    def members(self) -> str:
        """The parties by name, as people read them: "alice, bob, dealer=carol, outside=dave"."""
        roles = {len(self.inside) - 1: "dealer="} if self.dealer else {}
        if self.kind == "outside":
            roles[len(self.inside)] = "outside="
        return ", ".join(roles.get(rank, "") + name for rank, name in enumerate(self.parties))


class Binding(msgspec.Struct, frozen=True):
    """One input: a part of an object, who holds it, what it looks like, and from whose data it comes.

    `owner` is a party, or the name of the device for secrets and public values.
    """

    object: str
    path: Path
    owner: str
    visibility: Visibility
    schema: Schema | None
    origins: tuple[str, ...] = ()


class Output(msgspec.Struct, frozen=True):
    """One output object: its place and the parties that learn it (none for secrets).

    `origins` are the columns it comes from, as "alice:patients.age"; if it is itself a table whose columns are those
    of a source, `columns_of` is that source ("alice:patients") and stands for one origin a column; `columns` names
    them where the program did.
    """

    object: str
    owner: str
    visibility: Visibility
    recipients: tuple[str, ...] = ()
    schema: Schema | None = None
    origins: tuple[str, ...] = ()
    columns_of: str = ""
    columns: tuple[str, ...] = ()


class Node(msgspec.Struct, frozen=True):
    """A call on a device. `body` is IR, a frozen function or parameters, by `op`; `where` is the user's file:line."""

    number: int
    job: bytes
    device: DeviceSpec
    sequence: int
    op: Op
    title: str
    inputs: tuple[Binding, ...]
    outputs: tuple[Output, ...]
    body: bytes = b""
    where: str = ""

    @property
    def name(self) -> str:
        """How reports and errors call the node."""
        return name_of(self.number, self.op, self.title)

    @property
    def parties(self) -> tuple[str, ...]:
        return self.device.parties

    def digest(self) -> bytes:
        """The canonical hash, 32 bytes: equal if and only if every field is."""
        return digest(self)

    def to_bytes(self) -> bytes:
        return _encoder.encode(self)

    @staticmethod
    def from_bytes(data: bytes) -> Node:
        """Checked against the types above; msgspec.ValidationError otherwise."""
        return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder(order="deterministic")
_decoder = msgspec.msgpack.Decoder(Node)


def name_of(number: int, op: Op, title: str) -> str:
    """A node's name: a table read from a file by the file's name only."""
    return f"n{number} {PurePath(title).stem if op == 'table' else title}"


def digest(node: Node) -> bytes:
    """BLAKE3 of the canonical msgpack form under a context of its own."""
    return bytes(prf.hash(b"argot node 1\0" + _encoder.encode(node)))


def short(hash_: bytes) -> str:
    """The first 8 bytes in hex, as messages and reports print a hash."""
    return hash_[:8].hex()

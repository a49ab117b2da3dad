"""The graph of one driver: every call as a record, in the order of the calls.

A record is *pending* until the schemas of its inputs are known, then it is lowered to a node and *sent*; it ends
*ready* or *failed*. The graph prints as text and has a canonical hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from argot._core import prf

from ..devices.schema import Path, Schema, resolve
from ..errors import ArgotError
from .lineage import NOWHERE, Source
from .node import DeviceSpec, Node, Op, Output, Visibility, name_of, short

State = Literal["pending", "sent", "ready", "failed"]


@dataclass
class Product:
    """One output object of a record: where it lives, and its schema as soon as that is known.

    `leaves` says of every leaf on an MPC device whether it is "public", "secret" or private to a rank.
    """

    object: str
    record: Record
    owner: str
    visibility: Visibility
    recipients: tuple[str, ...] = ()
    schema: Schema | None = None
    leaves: tuple[Any, ...] = ()
    source: Source = NOWHERE


@dataclass(frozen=True)
class Ref:
    """A part of a product, as an input."""

    product: Product
    path: Path = ()

    @property
    def schema(self) -> Schema | None:
        return None if self.product.schema is None else resolve(self.product.schema, self.path)


@dataclass
class Lowered:
    """What becomes of a call once its inputs have schemas: the body, and its outputs if they are known ahead."""

    body: bytes
    schema: Schema | None = None
    leaves: tuple[Any, ...] = ()
    constants: tuple[str, ...] = ()
    program: Any = None


@dataclass
class Record:
    """One call. `lower` makes the body when all inputs have schemas (`needs_schemas`), or at once."""

    number: int
    device: DeviceSpec
    op: Op
    title: str
    where: str
    inputs: list[Ref]
    lower: Callable[[list[Ref]], Lowered]
    needs_schemas: bool = False
    keys: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()
    products: list[Product] = field(default_factory=list)
    state: State = "pending"
    node: Node | None = None
    failure: ArgotError | None = None
    constants: tuple[str, ...] = ()
    program: Any = None  # of the VM, for reading: `print(record.program)`
    done_at: dict[str, Any] = field(default_factory=dict)  # party -> wire.Usage
    notes: dict[str, dict[str, Any]] = field(default_factory=dict)  # party -> facts of the operation
    failed_at: dict[str, ArgotError] = field(default_factory=dict)
    keep: list[Any] = field(default_factory=list)  # handles of the inputs, held until the record has run

    def settle(self, state: State) -> None:
        self.state = state
        self.keep.clear()

    def fail(self, error: ArgotError | None) -> None:
        self.failure = error
        self.settle("failed")

    @property
    def name(self) -> str:
        return name_of(self.number, self.op, self.title)

    def output_list(self) -> tuple[Output, ...]:
        return tuple(Output(p.object, p.owner, p.visibility, p.recipients, p.schema, *p.source) for p in self.products)


@dataclass(frozen=True)
class Call:
    """A call before it has its number.

    Args:
        owners: one output for each: a party, or the name of the device.
        visibility, recipients, schema, leaves, origins: of the outputs, as far as they are known.
        needs_schemas: wait for the schemas of the inputs, and bind them.
        keys, columns: of intersections and tables, for lineage.
    """

    device: DeviceSpec
    op: Op
    title: str
    lower: Callable[[list[Ref]], Lowered]
    inputs: Sequence[Any] = ()  # handles
    owners: Sequence[str] = ()
    visibility: Visibility = "private"
    recipients: tuple[str, ...] = ()
    schema: Schema | None = None
    leaves: tuple[Any, ...] = ()
    origins: tuple[str, ...] = ()
    needs_schemas: bool = False
    keys: tuple[tuple[str, ...], ...] = ()
    columns: tuple[str, ...] = ()

    def record(self, number: int, where: str) -> Record:
        """The record with this number. It holds the handles of its inputs until it has run."""
        record = Record(
            number=number,
            device=self.device,
            op=self.op,
            title=self.title,
            where=where,
            inputs=[handle.ref for handle in self.inputs],
            lower=self.lower,
            needs_schemas=self.needs_schemas,
            keys=self.keys,
            columns=self.columns,
            keep=list(self.inputs),
        )
        record.products = [
            Product(
                object=f"n{number}.{i}",
                record=record,
                owner=owner,
                visibility=self.visibility,
                recipients=self.recipients,
                schema=self.schema,
                leaves=self.leaves,
                source=Source(self.origins),
            )
            for i, owner in enumerate(self.owners)
        ]
        return record


class Graph:
    """All records of a driver."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    def digest(self) -> str:
        """The hash of all nodes that were sent, in the order of the calls, in hex."""
        hashes = b"".join(record.node.digest() for record in self.records if record.node is not None)
        return bytes(prf.hash(b"argot graph 1\0" + hashes)).hex()

    def __str__(self) -> str:
        return "\n".join(map(line, self.records))


def line(record: Record) -> str:
    """One record as text: number, place, what, inputs, result, hash, source."""
    inputs = ", ".join(ref.product.object + "".join(f"[{_step(step)}]" for step in ref.path) for ref in record.inputs)
    results = ", ".join(f"{p.object}: {p.schema or '?'} {_whose(p)}" for p in record.products)
    hash_ = short(record.node.digest()) if record.node is not None else "not sent"
    arrow = f" -> {results}" if results else ""
    return (
        f"n{record.number:<4} {record.device!s:<32} {record.op} {record.title}({inputs}){arrow}"
        f"  [{record.state} {hash_}]  {record.where}"
    )


def _step(step: Any) -> str:
    return ", ".join(step) if isinstance(step, tuple) else str(step)


def _whose(product: Product) -> str:
    return product.visibility if product.visibility != "private" else f"of {product.owner}"

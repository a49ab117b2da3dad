"""Who learned what, computed from the executed graph alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from ..devices.schema import Table
from ..psi import ecdh
from .graph import Graph, Record
from .lineage import inherited, table_of


@dataclass(frozen=True)
class Disclosure:
    """One thing that one participant learned: `what`, from whose columns, at which node and line of the program."""

    to: str
    what: str
    origins: tuple[str, ...]
    node: str
    where: str

    def __str__(self) -> str:
        source = "; ".join(self.origins) or "public values"
        return f"{self.to} learned {self.what}, from {source} ({self.node}, {self.where})"


def of_graph(
    graph: Graph, driver: str = "the driver", opened: Callable[[int, str], bool | None] = lambda node, party: False
) -> list[Disclosure]:
    """Everything that was opened, in the order of the nodes.

    Of a node that has failed some may have been opened before it did: an empty intersection is one, and two parties may
    have had their values when the third was lost. `opened(node, party)` says what the party's journal says about that;
    None: nobody knows. What the driver was told follows from anybody's.
    """
    found: list[Disclosure] = []
    for record in graph:
        if record.node is None:
            continue
        if record.state == "ready":
            found += _of_record(record, graph, driver)
        elif record.state == "failed":
            parties = record.device.parties
            for told in _of_record(record, graph, driver):
                known = [opened(record.number, party) for party in ([told.to] if told.to in parties else parties)]
                if True in known:
                    found.append(told)
                elif None in known:
                    found.append(replace(told, what=f"perhaps {told.what}"))
    return found


def _of_record(record: Record, graph: Graph, driver: str) -> Iterator[Disclosure]:
    assert record.node is not None
    origins = readable(inherited(record.node.inputs), graph)
    if record.op == "reveal":
        for product in record.products:
            for party in product.recipients:
                yield Disclosure(party, f"the value {product.schema}", origins, record.name, record.where)
    if record.op == "psi":
        owners = (record.device.parties[0], record.device.parties[1])
        for told in ecdh.disclosed(owners, [*record.device.parties[2:], driver]):
            keys = [
                f"{table_of(binding)}.{name}"
                for binding, names in zip(record.node.inputs, record.keys, strict=True)
                for name in names
                if binding.owner in told.of
            ]
            yield Disclosure(told.to, told.what, readable(keys, graph), record.name, record.where)


def failure_bits(graph: Graph) -> list[Disclosure]:
    """That a node has failed, and where, is one bit about the data of the party where it happened."""
    bits = []
    for record in graph:
        if record.state != "failed" or record.node is None or not record.failed_at:
            continue
        for party in record.device.parties:
            error = record.failed_at.get(party)
            if error is not None and error.party not in (None, party):
                bits.append(
                    Disclosure(party, f"that {error.party} ended it ({error.code})", (), record.name, record.where)
                )
    return bits


def shapes(graph: Graph) -> list[str]:
    """Shapes and row counts that the driver was told: what functions and tables of the owners made."""
    return [
        f"{product.owner}: {product.schema} ({record.name}, {record.where})"
        for record in graph
        if record.op in ("call", "table", "psi")
        for product in record.products
        if product.schema is not None
    ]


def brought(graph: Graph) -> list[str]:
    """Values that parties outside of a device shared among its members: nobody learned them."""
    return [
        f"{record.device.parties[-1]} shared {product.schema} on {record.device.of}, from "
        f"{'; '.join(readable(inherited(record.node.inputs), graph))} ({record.name}, {record.where})"
        for record in graph
        if record.op == "share" and record.node is not None and record.state == "ready"
        for product in record.products
    ]


def constants(graph: Graph) -> list[str]:
    """Arrays that the program made public."""
    return [f"{text} ({record.name}, {record.where})" for record in graph for text in record.constants]


def readable(origins: Iterable[str], graph: Graph) -> tuple[str, ...]:
    """Origins by table: "alice:patients[age, income]"; a whole table is spelled out if its columns are known."""
    tables: dict[str, list[str]] = {}
    for origin in origins:
        table, dot, column = origin.partition(".")
        tables.setdefault(table, []).extend([column] if dot else [])
    return tuple(_spelled(table, columns, graph) for table, columns in sorted(tables.items()))


def _spelled(table: str, columns: list[str], graph: Graph) -> str:
    if "*" in columns:
        columns = next(
            (
                list(product.schema.names)
                for record in graph
                for product in record.products
                if product.source.columns_of == table and isinstance(product.schema, Table)
            ),
            [],
        )
    return f"{table}[{', '.join(columns)}]" if columns else table

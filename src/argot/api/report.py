"""The report: what a job cost and who learned what. Computed from the graph, checked against the agents' journals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..agent import wire
from ..errors import ArgotError, ReportMismatch
from ..graph.disclosures import Disclosure, brought, constants, failure_bits, of_graph, shapes
from ..graph.graph import Record
from ..graph.node import DeviceSpec

if TYPE_CHECKING:
    from .federation import Federation

EMBEDDED = "The driver started the agents and acts for every party: it is trusted by all of them."

SHOWN = 20
"""Lines of user programs that the printed report has; `Report.lines` has them all."""

CHECKED = ("opened", "shared", "psi", "fetched", "failed")
"""Events of journals that the graph must have, and none that it has not."""

LAST_WORDS = 10.0
"""Seconds to wait for what agents say of a node that another has ended."""


@dataclass(frozen=True)
class NodeCost:
    """Seconds of the slowest agent, bytes and messages of all, rounds of the longest chain. `bytes_ahead` are those
    that the agents sent outside of the run since the one before: set-up, and correlations made in bulk."""

    node: str
    device: str
    where: str
    state: str
    seconds: float
    bytes: int
    bytes_ahead: int
    rounds: int
    messages: int
    packets: int


@dataclass(frozen=True)
class OperationCost:
    """One kind of operation over all nodes: calls and seconds at the slowest agent, bytes of all."""

    operation: str
    calls: int
    seconds: float
    bytes: int
    rounds: int


@dataclass(frozen=True)
class LineCost:
    """One line of the user's program on a device: calls and seconds at the slowest agent, bytes of all, and the rounds
    of all its calls in a row, which may overlap with those of other lines."""

    node: str
    where: str
    calls: int
    seconds: float
    bytes: int
    rounds: int


@dataclass(frozen=True)
class Report:
    """What `fed.report()` returns; prints as text, shows as HTML in notebooks, and `to_dict()` for machines.

    `note` says whom the driver acts for, `trusted` who is trusted beside the parties. `learned` is what was opened on
    purpose; `brought` what owners outside of a device shared among its members; `nodes` has one entry for every call,
    in order; `peak_memory` is in MB, by party; `unchecked` are agents whose journals could not be had.
    """

    note: str
    trusted: tuple[str, ...]
    learned: tuple[Disclosure, ...]
    brought: tuple[str, ...]
    fetched: tuple[str, ...]
    failure_bits: tuple[Disclosure, ...]
    public_constants: tuple[str, ...]
    shapes_seen_by_driver: tuple[str, ...]
    nodes: tuple[NodeCost, ...]
    operations: tuple[OperationCost, ...]
    lines: tuple[LineCost, ...]
    peak_memory: dict[str, float]
    unchecked: tuple[str, ...]
    graph_hash: str

    @property
    def disclosed(self) -> list[str]:
        """Who learned what, a line each: opened values, intersections, and failures that others learned of."""
        return [str(line) for line in (*self.learned, *self.failure_bits)]

    def cost_of(self, numbers: Iterable[int]) -> tuple[int, int]:
        """Rounds and bytes of the nodes with these numbers together."""
        chosen = [self.nodes[number] for number in numbers if number < len(self.nodes)]
        return sum(node.rounds for node in chosen), sum(node.bytes for node in chosen)

    @property
    def bytes_total(self) -> int:
        return sum(node.bytes for node in self.nodes)

    @property
    def bytes_ahead(self) -> int:
        return sum(node.bytes_ahead for node in self.nodes)

    @property
    def rounds(self) -> int:
        return sum(node.rounds for node in self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain lists, dicts, numbers and text."""
        sums = {"bytes_total": self.bytes_total, "bytes_ahead": self.bytes_ahead, "rounds": self.rounds}
        return {**asdict(self), **sums, "disclosed": self.disclosed}

    def sections(self) -> list[tuple[str, list[str]]]:
        """Titles and lines, as both printed forms show them."""
        checked = "the agents' own journals agree"
        if self.unchecked:
            checked = f"not checked against the journals of {', '.join(self.unchecked)}, which are gone"
        found = [
            ("Who is trusted", list(self.trusted)),
            (f"Who learned what ({checked})", [str(line) for line in self.learned] or ["nobody learned anything"]),
            ("Shared from outside of a device", list(self.brought)),
            ("Values fetched by the driver", list(self.fetched)),
            ("Failures that others learned of", [str(line) for line in self.failure_bits]),
            ("Public constants", list(self.public_constants)),
            ("Shapes and row counts the driver saw", list(self.shapes_seen_by_driver)),
        ]
        return [(title, lines) for title, lines in found if lines]

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Titles, heads and rows of the cost tables."""
        nodes = [
            [n.node, n.device, in_seconds(n.seconds), in_bytes(n.bytes), str(n.rounds), str(n.packets), n.where]
            for n in self.nodes
        ]
        operations = [
            [o.operation, str(o.calls), in_seconds(o.seconds), in_bytes(o.bytes), str(o.rounds)]
            for o in self.operations
        ]
        lines = [
            [
                line.where or "-",
                line.node,
                str(line.calls),
                in_seconds(line.seconds),
                in_bytes(line.bytes),
                str(line.rounds),
            ]
            for line in self.lines[:SHOWN]
        ]
        memory = [[party, f"{size:.0f} MB"] for party, size in self.peak_memory.items()]
        shown = f" (the {SHOWN} that sent most of {len(self.lines)})" if len(self.lines) > SHOWN else ""
        ahead = f", and {in_bytes(self.bytes_ahead)} ahead of operations" if self.bytes_ahead else ""
        total = f"Cost by node (sum: {in_bytes(self.bytes_total)}, {self.rounds} rounds{ahead})"
        return [
            (total, ["node", "device", "seconds", "bytes", "rounds", "packets", "line"], nodes),
            ("Cost by operation", ["operation", "calls", "seconds", "bytes", "rounds"], operations),
            (f"Cost by line{shown}", ["line", "node", "calls", "seconds", "bytes", "rounds"], lines),
            ("Peak memory", ["party", "resident"], memory),
        ]

    def __str__(self) -> str:
        blocks = [self.note]
        blocks += ["\n".join([title, *(f"  {line}" for line in lines)]) for title, lines in self.sections()]
        blocks += [text_table(title, head, rows) for title, head, rows in self.tables() if rows]
        blocks.append(f"graph {self.graph_hash[:16]}")
        return "\n\n".join(blocks)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<p><b>{_escape(self.note)}</b></p>"]
        for title, lines in self.sections():
            items = "".join(f"<li>{_escape(line)}</li>" for line in lines)
            parts.append(f"<h4>{_escape(title)}</h4><ul>{items}</ul>")
        for title, head, rows in self.tables():
            if rows:
                parts.append(html_table(title, head, rows))
        return "".join(parts)


def make_report(federation: Federation) -> Report:
    """Wait for what is under way, collect the journals, check, compute.

    Raises ReportMismatch if an agent's journal and the graph disagree.
    """
    client, graph = federation.client, federation.graph
    client.wait(lambda: all(record.state in ("ready", "failed") for record in list(graph)) or client.closed)
    # One agent's failure ends a node; the others still write what they learned until then.
    client.wait(lambda: all(map(_all_told, list(graph))) or client.closed or client.lost is not None, LAST_WORDS)
    journals, memory, unchecked = _collect(federation)
    for party, journal in journals.items():
        _check(federation, party, journal)
    names = [party.name for party in federation.parties]
    acted = [name for name in names if name in client.acts_for]
    deployed = f"The driver acts for {', '.join(acted)}; the other agents follow their own policies."
    driver = "the driver" if not federation.embedded else "the driver (trusted)"
    return Report(
        note=EMBEDDED if federation.embedded else deployed,
        trusted=tuple(dict.fromkeys(_trust(record.device) for record in graph if _deals(record.device))),
        learned=tuple(of_graph(graph, driver, lambda node, party: _has_opened(journals.get(party), node))),
        brought=tuple(brought(graph)),
        fetched=tuple(f"{owner}: {name} ({graph.records[number].where})" for owner, name, number in client.fetched),
        failure_bits=tuple(failure_bits(graph)),
        public_constants=tuple(constants(graph)),
        shapes_seen_by_driver=tuple(shapes(graph)),
        nodes=tuple(_node_cost(record) for record in graph),
        operations=tuple(_operation_costs(graph.records)),
        lines=tuple(sorted((line for record in graph for line in line_costs(record)), key=lambda line: -line.bytes)),
        peak_memory=memory,
        unchecked=tuple(unchecked),
        graph_hash=graph.digest(),
    )


def _deals(device: DeviceSpec) -> bool:
    return device.dealer and device.kind == "mpc"


def _trust(device: DeviceSpec) -> str:
    return (
        f"{device.parties[-1]} deals what is random on {device}: trusted for confidentiality, not to join what it has "
        "with what another party sees"
    )


def _all_told(record: Record) -> bool:
    """Whether all agents of a node have said how it ended there."""
    reported = {*record.done_at, *record.failed_at}
    return record.node is None or record.state == "ready" or reported >= set(record.device.parties)


def _collect(federation: Federation) -> tuple[dict[str, list[dict[str, Any]]], dict[str, float], list[str]]:
    """Journals of this job and peak memory, of every agent that is there."""
    client = federation.client
    journals, memory, gone = {}, {}, []
    for party in federation.parties:
        name = party.name
        try:
            log = client.ask(name, lambda request: wire.Query(client.job, request, "log"))
            usage = client.ask(name, lambda request: wire.Query(client.job, request, "usage"))
        except ArgotError:
            gone.append(name)
            continue
        journals[name] = msgspec.msgpack.decode(log)
        memory[name] = msgspec.msgpack.decode(usage)["peak_memory"] / 1e6
    return journals, memory, gone


def _has_opened(journal: list[dict[str, Any]] | None, node: int) -> bool | None:
    """Whether a party has opened something at a node, as its journal says; None without a journal."""
    if journal is None:
        return None
    return any(entry["event"] in ("opened", "psi") and entry["node"] == node for entry in journal)


def _check(federation: Federation, party: str, journal: list[dict[str, Any]]) -> None:
    """The journal of one agent against the graph: every opened value, PSI, share from outside, fetch and failure, and
    nothing else."""
    told = Counter(_entry(entry) for entry in journal if entry["event"] in CHECKED)
    wanted: Counter[tuple[Any, ...]] = Counter()
    maybe: Counter[tuple[Any, ...]] = Counter()
    for record in federation.graph:
        if record.node is None or party not in record.device.parties:
            continue
        hash_ = record.node.digest().hex()
        if record.op == "reveal":
            (product,) = record.products
            (wanted if record.state == "ready" else maybe)[("opened", record.number, hash_, product.owner)] += 1
        if record.op == "share":
            owner = record.device.parties[-1]
            (wanted if record.state == "ready" else maybe)[("shared", record.number, hash_, owner)] += 1
        if record.op == "psi":
            (wanted if record.state == "ready" else maybe)[("psi", record.number, hash_)] += 1
        if party in record.failed_at:
            wanted[("failed", record.number, hash_)] += 1
    wanted.update(("fetched", name) for owner, name, _ in federation.client.fetched if owner == party)
    extra, missing = told - wanted - maybe, wanted - told
    if extra or missing:
        lines = [f"only in the journal: {e}" for e in extra] + [f"only in the graph: {e}" for e in missing]
        raise ReportMismatch(
            f"the journal of {party} and the graph disagree: " + "; ".join(lines),
            wanted="the same opened values in both",
            todo=f"compare with journal.jsonl of {party}",
            party=party,
        )


def _entry(entry: dict[str, Any]) -> tuple[Any, ...]:
    event = entry["event"]
    if event == "fetched":
        return (event, entry["object"])
    extra = (entry["to"],) if event == "opened" else (entry["owner"],) if event == "shared" else ()
    return (event, entry["node"], entry["hash"], *extra)


def spent(records: Iterable[Record]) -> tuple[int, int]:
    """Rounds and bytes of these records together, as far as they have run."""
    costs = [_node_cost(record) for record in records]
    return sum(cost.rounds for cost in costs), sum(cost.bytes for cost in costs)


def _node_cost(record: Record) -> NodeCost:
    usages: list[wire.Usage] = list(record.done_at.values())
    return NodeCost(
        node=record.name,
        device=str(record.device),
        where=record.where,
        state=record.state,
        seconds=max((u.seconds for u in usages), default=0.0),
        bytes=sum(u.bytes_sent for u in usages),
        bytes_ahead=sum(u.bytes_ahead for u in usages),
        rounds=max((u.rounds for u in usages), default=0),
        messages=sum(u.messages for u in usages),
        packets=sum(u.packets for u in usages),
    )


def _operation_costs(records: list[Record]) -> list[OperationCost]:
    """By operation, the outermost of a path only, so that nothing is counted twice; the most expensive first."""
    calls: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    sent: dict[str, int] = defaultdict(int)
    rounds: dict[str, int] = defaultdict(int)
    for record in records:
        largest: dict[str, tuple[int, float, int]] = {}
        for usage in record.done_at.values():
            for path, count, time, size, depth in usage.operations:
                if "/" not in path:
                    sent[path] += size
                    before = largest.get(path, (0, 0.0, 0))
                    largest[path] = (max(before[0], count), max(before[1], time), max(before[2], depth))
        for path, (count, time, depth) in largest.items():
            calls[path] += count
            seconds[path] += time
            rounds[path] += depth
    found = [OperationCost(p, calls[p], seconds[p], sent[p], rounds[p]) for p in sent]
    return sorted(found, key=lambda cost: -cost.bytes)


def line_costs(record: Record) -> list[LineCost]:
    """What each line of a call's program cost, in the order in which the lines were first run."""
    found: dict[str, LineCost] = {}
    for usage in record.done_at.values():
        for where, calls, seconds, sent, rounds in usage.lines:
            before = found.get(where, LineCost(record.name, where, 0, 0.0, 0, 0))
            found[where] = LineCost(
                record.name,
                where,
                max(before.calls, calls),
                max(before.seconds, seconds),
                before.bytes + sent,
                max(before.rounds, rounds),
            )
    return list(found.values())


def text_table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """A table of `Report.tables` in columns."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, *rows]
    ]
    return "\n".join([title, *lines])


def html_table(title: str, head: list[str], rows: list[list[str]]) -> str:
    """The same for notebooks."""
    cells = "".join(f"<th>{_escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{_escape(c)}</td>' for c in row)}</tr>" for row in rows)
    return f"<h4>{_escape(title)}</h4><table><tr>{cells}</tr>{body}</table>"


def in_seconds(value: float) -> str:
    """Seconds for people, without their unit: 0.012."""
    return f"{value:.3f}" if value < 100 else f"{value:.0f}"


def in_bytes(value: float) -> str:
    """Bytes for people: 1.2 MB."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

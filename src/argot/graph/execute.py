"""The driver's state machine: events in, nodes to send out. No I/O, no threads.

    register(record)               a call was made: it gets its number and its origins
    consider(record)               it is sent as soon as it can be
    described(...), done(...)      an agent reports a schema, or that a node has run
    failed(...), lost(...)         it reports a failure, or a party is gone
    take() -> [Node, ...]          what is to be sent now, in order

Numbers within a device are given when a node is sent, so a call that waits for a schema holds nobody up.
"""

from __future__ import annotations

from typing import Any

from ..devices.schema import Schema
from ..errors import ArgotError, PartyLost, ProgramError, TraceError
from .graph import Graph, Record, Ref
from .lineage import of_outputs
from .node import Binding, Node


class Execution:
    """The graph of one job as it runs."""

    def __init__(self, job: bytes) -> None:
        self.job = job
        self.graph = Graph()
        self._sequence: dict[str, int] = {}
        self._outbox: list[Node] = []
        self._waiting: list[Record] = []

    def register(self, record: Record) -> None:
        """A call. Its number is its place in the graph."""
        assert record.number == len(self.graph.records)
        bindings = [_bind(ref, False) for ref in record.inputs]
        found = of_outputs(record.op, record.device, record.title, bindings, record.keys, record.columns)
        for product, source in zip(record.products, found, strict=False):
            product.source = source
        self.graph.records.append(record)

    def consider(self, record: Record) -> None:
        """Send it, now or when its inputs have schemas."""
        self._waiting.append(record)
        self._advance()

    def take(self) -> list[Node]:
        """The nodes to be sent, each to all parties of its device."""
        out, self._outbox = self._outbox, []
        return out

    def described(self, number: int, schemas: dict[str, Schema]) -> None:
        for product in self.graph.records[number].products:
            if product.object in schemas:
                product.schema = schemas[product.object]
        self._advance()

    def done(self, number: int, party: str, schemas: dict[str, Schema], usage: Any, notes: dict[str, Any]) -> None:
        """One agent is done; the record is ready when all are."""
        record = self.graph.records[number]
        record.done_at[party] = usage
        record.notes[party] = notes
        if record.state == "sent" and set(record.done_at) >= set(record.device.parties):
            record.settle("ready")
        self.described(number, schemas)

    def failed(self, number: int, party: str, error: ArgotError) -> None:
        """One agent failed. Final is the word of the party where it happened, which knows most, or else of all."""
        record = self.graph.records[number]
        record.failed_at[party] = error
        if record.state not in ("pending", "sent"):
            return
        knows = error.party in (None, party) or error.party not in record.device.parties
        told = knows or set(record.failed_at) >= set(record.device.parties)
        if isinstance(error, PartyLost) or (told and not self._comes_of_another(record, error)):
            self._fail(record, self._first_cause(record, error))
            self._advance()

    def _comes_of_another(self, record: Record, error: ArgotError) -> bool:
        """Whether an input has failed of the same, and the party where that happened, which knows most, is yet to say."""
        for earlier in (ref.product.record for ref in record.inputs):
            same = [failure for failure in earlier.failed_at.values() if failure.reference == error.reference]
            if earlier.state == "sent" and error.reference and same:
                return True
        return False

    def _fail(self, record: Record, error: ArgotError) -> None:
        """A record, and those that have failed of it and waited for its error."""
        record.fail(error)
        for later in self.graph.records[record.number + 1 :]:
            waits = later.state == "sent" and later.failed_at
            if waits and any(ref.product.record is record for ref in later.inputs):
                self._fail(later, error)

    def _first_cause(self, record: Record, error: ArgotError) -> ArgotError:
        """The failure of an earlier node as it was first told, if that is what this one comes from."""
        for earlier in self.graph.records[: record.number] if error.reference else ():
            if earlier.failure is not None and earlier.failure.reference == error.reference:
                return earlier.failure
        return error

    def lost(self, error: PartyLost, all_: bool) -> None:
        """A party is gone: what needs it fails, or everything that is unfinished."""
        for record in self.graph.records:
            if record.state in ("pending", "sent") and (all_ or error.party in record.device.parties):
                record.fail(error)
        self._advance()

    def fault(self, error: Exception) -> None:
        """Something in the driver itself went wrong: everything unfinished fails with it."""
        failure = ProgramError(f"a fault in the driver: {type(error).__name__}: {error}", todo="report it")
        failure.__cause__ = error
        self.close(failure)

    def close(self, error: ArgotError) -> None:
        """Nothing will be answered any more."""
        for record in self.graph.records:
            if record.state in ("pending", "sent"):
                record.fail(error)
        self._waiting.clear()

    def _advance(self) -> None:
        """Send whatever has become possible, in the order of the calls."""
        progress = True
        while progress:
            progress = False
            for record in list(self._waiting):
                if record.state == "pending" and self._try_send(record):
                    progress = True
                if record.state != "pending":
                    self._waiting.remove(record)

    def _try_send(self, record: Record) -> bool:
        for ref in record.inputs:
            if ref.product.record.state == "failed":
                record.fail(ref.product.record.failure)
                return True
        if any(ref.product.record.state == "pending" for ref in record.inputs):
            return False  # agents know an object from the node that makes it
        if record.needs_schemas and any(ref.product.schema is None for ref in record.inputs):
            return False
        try:
            self._lower(record)
        except ArgotError as error:
            error.where = error.where or record.where
            error.node = error.node or record.name
            record.fail(error)
            return True
        except Exception as error:
            failure = TraceError(
                f"{record.title} raised {type(error).__name__} while it was traced: {error}",
                node=record.name,
                where=record.where,
                todo="see the cause above; the call was made at the place named below",
            )
            failure.__cause__ = error
            record.fail(failure)
            return True
        return True

    def _lower(self, record: Record) -> None:
        bindings = tuple(_bind(ref, record.needs_schemas) for ref in record.inputs)
        lowered = record.lower(record.inputs)
        record.constants, record.program = lowered.constants, lowered.program
        if lowered.schema is not None:
            record.products[0].schema = lowered.schema
            record.products[0].leaves = lowered.leaves
        name = record.device.name
        sequence = self._sequence.get(name, 0)
        self._sequence[name] = sequence + 1
        record.node = Node(
            number=record.number,
            job=self.job,
            device=record.device,
            sequence=sequence,
            op=record.op,
            title=record.title,
            inputs=bindings,
            outputs=record.output_list(),
            body=lowered.body,
            where=record.where,
        )
        record.state = "sent"
        self._outbox.append(record.node)


def _bind(ref: Ref, with_schema: bool) -> Binding:
    """Schemas are bound only where the node depends on them, so that its hash does not depend on what came first."""
    product = ref.product
    return Binding(
        product.object,
        ref.path,
        product.owner,
        product.visibility,
        ref.schema if with_schema else None,
        product.source.part(ref.path),
    )

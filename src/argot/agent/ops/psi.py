"""Private set intersection of two owners' tables; both end with their rows of it, in one order."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ...devices.schema import Columns, Schema, Table, describe, is_frame, resolve, walk
from ...errors import InputError
from ...graph.lineage import table_of
from ...psi import ecdh
from ...psi.keys import Keys, read_keys
from ...runtime.party import Party
from .. import bodies
from ..context import Context, Results
from ..failures import public


def prepare(context: Context) -> tuple[bodies.Psi, Columns | None, Keys | None]:
    """The own table and its keys. InputError for missing columns, missing or repeated keys."""
    body = msgspec.msgpack.decode(context.node.body, type=bodies.Psi)
    if context.rank > 1:
        return body, None, None
    entry, binding = context.inputs[context.rank], context.node.inputs[context.rank]
    if entry is None or binding.owner != context.me:
        raise InputError("this party has no table in the intersection")
    value = walk(entry.value, binding.path)
    if not is_frame(value) and not isinstance(value, dict):
        raise InputError("an intersection of something that is no table", wanted="columns of one length")
    table = Columns(dict(value.items()))
    names = body.keys[context.rank]
    missing = [name for name in names if name not in table]
    if missing:
        raise InputError(f"there is no column {missing[0]!r}", wanted=f"one of {', '.join(table)}")
    return body, table, read_keys(*(table[name] for name in names))


def execute(context: Context) -> Results:
    """Run it. The journal keeps sizes and what of it this party learned."""
    body, table, keys = context.prepared
    node, me = context.node, context.rank
    observers = tuple(range(2, len(node.parties)))

    async def run(party: Party) -> Any:
        """What it learns is written down at once: the run may end early, once the others have ended."""
        facts: dict[str, Any] = {"hash": node.digest().hex()}
        if me > 1:
            found: Any = await ecdh.observe(party, (0, 1), names=node.parties)
            facts["size"] = found
        else:
            assert keys is not None
            limit = context.config.policy.psi_max_rows if context.config else ecdh.MAX_ITEMS
            found = await ecdh.intersect(
                party, 1 - me, keys, observers=observers, max_items=limit, names=node.parties, progress=context.progress
            )
            rows = {"rows": found.own_items, "other_rows": found.peer_items}
            facts |= {"size": found.size, "table": table_of(node.inputs[me]), **rows}
        context.journal.write("psi", node.job, node.number, **facts)
        return found

    if me < 2:
        context.journal.write("psi started", node.job, node.number, table=table_of(node.inputs[me]))
    found = context.run(run)
    size = found if me > 1 else found.size
    context.notes["intersection"] = size
    if me < 2:
        context.notes["rows"] = found.own_items
    if size == 0 and not body.allow_empty:
        raise public(
            InputError(
                f"the intersection of {node.parties[0]} and {node.parties[1]} is empty",
                wanted="rows with equal keys",
                todo='compare how both write their keys (1 and "1" differ), or pass allow_empty=True',
            )
        )
    if me > 1:
        return {}
    joined = table.take(np.asarray(found.rows))
    return {node.outputs[me].object: (joined, _schema(context, joined))}


def _schema(context: Context, joined: Columns) -> Schema:
    """The schema of rows of the own table: ranges of its columns are theirs too."""
    entry, binding, schema = context.inputs[context.rank], context.node.inputs[context.rank], describe(joined)
    assert entry is not None and entry.schema is not None and isinstance(schema, Table)
    whole = resolve(entry.schema, binding.path)
    return Table(schema.columns, schema.rows, whole.ranges) if isinstance(whole, Table) else schema

"""A table of the owner: by name from its configuration, or, where the driver's code runs, a file by path."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from ...config import TableSource
from ...devices import ranges
from ...devices.plain import load_installed
from ...devices.schema import Columns, Table, describe, limits
from ...errors import InputError, PermissionRefused
from .. import bodies
from ..context import Context, Results
from ..failures import UserError, public
from ..wire import Usage

READER = "argot.frame.owner:read_csv"


def prepare(context: Context) -> tuple[TableSource, bodies.Table]:
    """Where the table is and which columns of it. PermissionRefused for columns that are not offered."""
    wanted = msgspec.msgpack.decode(context.node.body, type=bodies.Table)
    title = context.node.title
    if context.config is None:
        return TableSource(path=title), wanted
    source = context.config.tables.get(title)
    if source is None:
        raise public(PermissionRefused(f"{context.me} offers no table {title!r} (rule tables)", party=context.me))
    hidden = [c for c in wanted.columns or () if source.columns is not None and c not in source.columns]
    if hidden:
        raise public(
            PermissionRefused(
                f"{context.me} does not offer the columns {', '.join(hidden)} (rule tables.{title}.columns)",
                wanted=f"columns of {', '.join(source.columns or ())}",
                party=context.me,
            )
        )
    return source, wanted


def execute(context: Context) -> Results:
    """Read it."""
    source, wanted = context.prepared
    start = time.perf_counter()
    path = Path(source.path)
    if context.config is not None and not path.is_absolute():
        path = context.directory / path
    try:
        columns = wanted.columns if wanted.columns is not None else source.columns
        table = load_installed(READER)(str(path), columns=columns, text=(*source.text, *wanted.text))
        value = Columns(table)
        schema = _declared(value, wanted)
    except (InputError, OSError, ValueError) as error:
        raise UserError(error, context.node.where) from None
    context.usage = Usage(seconds=time.perf_counter() - start)
    (output,) = context.node.outputs
    return {output.object: (value, schema)}


def _declared(value: Columns, wanted: bodies.Table) -> Table:
    """The schema with the declared limits. InputError for a column that is not there, or outside of its limits."""
    schema = describe(value)
    assert isinstance(schema, Table)
    found = Table(
        schema.columns,
        schema.rows,
        tuple((name, *limits(schema.dtype(name), low, high)) for name, low, high in wanted.ranges),
    )
    ranges.check(value, found)
    return found

"""What was saved under a name is forgotten at every party of the device."""

from __future__ import annotations

from .. import saved
from ..context import Context, Results


def prepare(context: Context) -> None:
    """Nothing to get ready."""


def execute(context: Context) -> Results:
    """Deleting what is not there is no error: the parties may have been stopped in between."""
    node = context.node
    saved.delete(context.directory, "value" if node.device.kind == "plain" else "share", node.title)
    context.journal.write("deleted", node.job, node.number, name=node.title, hash=node.digest().hex())
    return {}

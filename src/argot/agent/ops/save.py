"""A secret to disk: each party of the device writes its own share."""

from __future__ import annotations

from ...devices import mpc
from ...vm.values import Private, Public
from .. import saved
from ..context import Context, Results
from .run import select


def prepare(context: Context) -> None:
    """Nothing to get ready."""


def execute(context: Context) -> Results:
    """Written when this returns; parties that stop in between are found out by `set` when it is loaded."""
    node, spec = context.node, context.node.device
    (entry,), (binding,) = context.inputs, node.inputs
    assert entry is not None and binding.schema is not None
    values = select(entry, binding)
    leaves = tuple(-1 if isinstance(v, Public) else v.owner if isinstance(v, Private) else -2 for v in values)
    header = saved.Header(
        node.digest(),
        spec.parties,
        spec.protocol,
        spec.ring,
        spec.fraction_bits,
        binding.schema,
        leaves,
        binding.origins,
    )
    saved.write(context.directory, context.secret, node.title, saved.File(header, mpc.to_bytes(values)))
    context.journal.write("saved", node.job, node.number, name=node.title, hash=node.digest().hex())
    return {}

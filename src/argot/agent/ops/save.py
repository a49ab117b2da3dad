"""A value to disk: each party of a device its own share, or the owner its own value; encrypted."""

from __future__ import annotations

from ...devices import codec, mpc
from ...devices.schema import walk
from ...vm.values import Private, Public
from .. import saved
from ..context import Context, Results
from ..parts import select


def prepare(context: Context) -> None:
    """Nothing to get ready."""


def execute(context: Context) -> Results:
    """Written when this returns. If another party stops in between, `set` tells on loading."""
    node, spec = context.node, context.node.device
    (entry,), (binding,) = context.inputs, node.inputs
    assert entry is not None and binding.schema is not None
    leaves: tuple[int, ...] = ()
    if spec.kind == "plain":
        data = b"".join(bytes(part) for part in codec.encode(walk(entry.value, binding.path)))
    else:
        values = select(entry, binding)
        data = mpc.to_bytes(values)
        leaves = tuple(-1 if isinstance(v, Public) else v.owner if isinstance(v, Private) else -2 for v in values)
    header = saved.Header(
        set=node.digest(),
        parties=spec.parties,
        protocol=spec.protocol,
        ring=spec.ring,
        fraction_bits=spec.fraction_bits,
        schema=binding.schema,
        leaves=leaves,
        origins=binding.origins,
    )
    kind: saved.Kind = "value" if spec.kind == "plain" else "share"
    saved.write(context.directory, context.secret, kind, node.title, saved.File(header, data))
    context.journal.write("saved", node.job, node.number, name=node.title, hash=node.digest().hex())
    return {}

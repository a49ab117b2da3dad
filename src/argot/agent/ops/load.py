"""What `save` kept: a secret back onto a device of the same parties and protocol, or a party's own value."""

from __future__ import annotations

from typing import Any

from ...devices import codec, mpc
from ...errors import ConfigError, ProgramMismatch
from .. import saved
from ..context import Context, Results
from ..failures import public


def prepare(context: Context) -> tuple[saved.Header, Any]:
    """This party's part. ConfigError for another device, ProgramMismatch for a share of another save."""
    node, spec = context.node, context.node.device
    kind: saved.Kind = "value" if spec.kind == "plain" else "share"
    file = saved.read(context.directory, context.secret, kind, node.title)
    header = file.header
    saved_on = (header.parties, header.protocol, header.ring, header.fraction_bits)
    if saved_on != (spec.parties, spec.protocol, spec.ring, spec.fraction_bits):
        raise public(
            ConfigError(
                f"{node.title!r} cannot be loaded onto {spec}",
                wanted=f"{header.protocol} of {', '.join(header.parties)}, ring {header.ring}, "
                f"{header.fraction_bits} fraction bits, as it was saved",
            )
        )
    (output,) = node.outputs
    if header.set != node.body or output.origins != header.origins:
        raise public(
            ProgramMismatch(f"{context.me} has another version of {node.title!r}", todo="save it again at all parties")
        )
    return header, codec.decode(file.data) if kind == "value" else mpc.from_bytes(file.data, spec.ring)


def execute(context: Context) -> Results:
    """No messages: shares are as they were, and fresh masks come with the next operation on them."""
    header, value = context.prepared
    (output,) = context.node.outputs
    return {output.object: (value, header.schema)}

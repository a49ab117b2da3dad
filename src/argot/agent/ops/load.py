"""A saved secret back onto a device of the same parties and protocol."""

from __future__ import annotations

from ...devices import mpc
from ...errors import ConfigError, ProgramMismatch
from ...vm.values import Value
from .. import saved
from ..context import Context, Results
from ..failures import public


def prepare(context: Context) -> tuple[saved.Header, list[Value]]:
    """This party's share. ConfigError for another device, ProgramMismatch for a share of another save."""
    node, spec = context.node, context.node.device
    file = saved.read(context.directory, context.secret, node.title)
    header = file.header
    if (header.parties, header.protocol, header.ring, header.fraction_bits) != (
        spec.parties,
        spec.protocol,
        spec.ring,
        spec.fraction_bits,
    ):
        raise public(
            ConfigError(
                f"{node.title!r} on {spec}",
                wanted=f"{header.protocol} of {', '.join(header.parties)}, ring {header.ring}, "
                f"{header.fraction_bits} fraction bits, as it was saved",
            )
        )
    (output,) = node.outputs
    if header.set != node.body or output.origins != header.origins:
        raise public(
            ProgramMismatch(f"{context.me} has another version of {node.title!r}", todo="save it again at all parties")
        )
    return header, mpc.from_bytes(file.shares, spec.ring)


def execute(context: Context) -> Results:
    """No messages: the shares are as they were, and fresh masks come with the next operation on them."""
    header, values = context.prepared
    (output,) = context.node.outputs
    return {output.object: (values, header.schema)}

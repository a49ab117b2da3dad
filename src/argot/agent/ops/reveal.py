"""A value to a party: from an MPC device, or from the party that owns it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ...devices import codec, mpc, outside
from ...devices.schema import Tensor, build, describe, leaves, walk
from ...errors import ProgramMismatch
from ...runtime.party import Party
from .. import bodies
from ..context import Context, Results
from ..parts import select


def prepare(context: Context) -> bodies.Reveal:
    body = msgspec.msgpack.decode(context.node.body, type=bodies.Reveal)
    (output,) = context.node.outputs
    if output.owner != body.to or output.recipients != (body.to,) or body.to not in context.node.parties:
        raise ProgramMismatch(f"a reveal to {body.to} whose output is for {', '.join(output.recipients)}")
    if context.node.device.kind == "outside":
        _check_outside(context, body)
    return body


def _check_outside(context: Context, body: bodies.Reveal) -> None:
    """ProgramMismatch unless a value of the device goes to the party outside of it."""
    spec, (binding,) = context.node.device, context.node.inputs
    if body.to != spec.parties[-1] or binding.owner != spec.of:
        raise ProgramMismatch(
            f"{binding.object} of {binding.owner} to {body.to} on {spec}",
            wanted=f"a value of {spec.of} to {spec.parties[-1]}",
        )
    if len(body.leaves) != len(outside.types_of(body.schema)):
        raise ProgramMismatch(f"{len(body.leaves)} kinds of leaves of {body.schema}", wanted="one for each")


def execute(context: Context) -> Results:
    """The value at its recipient; nothing at the others. Every party that takes part writes it down."""
    body: bodies.Reveal = context.prepared
    (binding,) = context.node.inputs
    (output,) = context.node.outputs
    value = _from_device(context, body) if binding.visibility != "private" else _from_party(context, body)
    context.journal.write(
        "opened",
        context.node.job,
        context.node.number,
        object=binding.object,
        to=body.to,
        shape=str(body.schema),
        origins=list(binding.origins),
        hash=context.node.digest().hex(),
    )
    return {output.object: (value, body.schema if value is None else describe(value))} if context.me == body.to else {}


def _from_device(context: Context, body: bodies.Reveal) -> Any:
    spec = context.node.device
    protocol = spec.form()
    (entry,), (binding,) = context.inputs, context.node.inputs
    values = None if entry is None else select(entry, binding)
    to = spec.parties.index(body.to)

    async def inside(party: Party) -> list[np.ndarray] | None:
        assert values is not None
        network = context.session.network
        return await mpc.reveal(protocol(party, spec.ring, spec.fraction_bits, network), values, to)

    async def to_outside(party: Party) -> list[np.ndarray] | None:
        types = outside.types_of(body.schema)
        return await outside.tell(party, spec.ring, spec.fraction_bits, types, body.leaves, values)

    arrays = context.run(to_outside if spec.kind == "outside" else inside)
    if arrays is None:
        return None
    dtypes = [leaf.dtype for _, leaf in leaves(body.schema) if isinstance(leaf, Tensor)]
    return build(body.schema, (a.astype(dtype, copy=False) for a, dtype in zip(arrays, dtypes, strict=True)))


def _from_party(context: Context, body: bodies.Reveal) -> Any:
    """The owner sends, the recipient checks that it is what was agreed."""
    (entry,), (binding,) = context.inputs, context.node.inputs
    owner, to = context.node.parties.index(binding.owner), context.node.parties.index(body.to)

    async def send(party: Party) -> bytes | None:
        if party.rank == owner:
            assert entry is not None
            value = walk(entry.value, binding.path)
            party.send(to, b"".join(bytes(part) for part in codec.encode(value)))
        elif party.rank == to:
            return bytes(await party.recv(owner, bytes))
        return None

    data = context.run(send)
    return None if data is None else codec.decode(data, body.schema)

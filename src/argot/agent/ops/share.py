"""A value of a party outside of an MPC device becomes a secret on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...devices import mpc, outside
from ...devices.schema import leaves, walk
from ...errors import InputError, ProgramMismatch
from ...runtime.party import Party
from ...vm.values import Share, encode
from ..context import Context, Results


def prepare(context: Context) -> list[Share] | None:
    """The owner's values, encoded as the device has them; None at the members.

    Raises InputError or EncodeError for values that the device does not hold; only that bit crosses.
    """
    node, spec = context.node, context.node.device
    if spec.kind != "outside" or len(node.inputs) != 1 or len(node.outputs) != 1:
        raise ProgramMismatch(
            f"{node.name} shares {len(node.inputs)} values on {spec}", wanted="one of a party outside"
        )
    (entry,), (binding,), (output,) = context.inputs, node.inputs, node.outputs
    owner = spec.parties[-1]
    if (binding.visibility, binding.owner) != ("private", owner) or binding.schema is None:
        raise ProgramMismatch(
            f"{binding.object} is {binding.visibility} of {binding.owner}", wanted=f"a value of {owner}"
        )
    if (output.owner, output.visibility, output.recipients, output.schema) != (spec.of, "secret", (), binding.schema):
        raise ProgramMismatch(f"{node.name} makes {output.object} of {output.owner}", wanted=f"a secret of {spec.of}")
    types = outside.types_of(binding.schema)
    if context.me != owner:
        return None
    assert entry is not None
    plain = mpc.reference(spec.ring, spec.fraction_bits)
    part, shares = walk(entry.value, binding.path), []
    for (path, _), type_ in zip(leaves(binding.schema), types, strict=True):
        try:
            shares.append(encode(np.asarray(walk(part, path)), type_, plain))
        except InputError as error:
            error.what = f"{binding.object}{''.join(f'[{step}]' for step in (*binding.path, *path))}: {error.what}"
            raise
    return shares


def execute(context: Context) -> Results:
    """The owner sends to each member its parts. Every party writes down whose value it was."""
    node, spec, given = context.node, context.node.device, context.prepared
    (binding,), (output,) = node.inputs, node.outputs
    assert binding.schema is not None
    form, types = spec.form(), outside.types_of(binding.schema)

    async def run(party: Party) -> Any:
        return await outside.give(form, party, spec.ring, types, given)

    values = context.run(run)
    context.prepared = None
    context.journal.write(
        "shared",
        node.job,
        node.number,
        object=binding.object,
        owner=binding.owner,
        on=spec.of,
        shape=str(binding.schema),
        origins=list(binding.origins),
        hash=node.digest().hex(),
    )
    return {} if values is None else {output.object: (values, binding.schema)}

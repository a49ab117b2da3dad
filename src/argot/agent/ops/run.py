"""A program on an MPC device."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from ...devices import mpc
from ...devices.schema import leaves, walk
from ...errors import InputError, ProgramMismatch
from ...graph.node import Binding
from ...runtime.party import Party
from ...vm import check, machine
from ...vm.ir import Program, TensorType
from ...vm.values import Private, Value
from .. import bodies
from ..context import Context, Results
from ..parts import select
from ..store import Entry


def prepare(context: Context) -> tuple[bodies.Run, Program, machine.Plans, list[Value]]:
    """The checked program and this party's view of its inputs, with its own already encoded.

    Raises InputError or EncodeError for inputs that the program cannot take; only that bit crosses.
    """
    body = msgspec.msgpack.decode(context.node.body, type=bodies.Run)
    program, plans = _checked(body.program)
    found = [
        leaf
        for entry, binding in zip(context.inputs, context.node.inputs, strict=True)
        for leaf in _leaves(context, entry, binding)
    ]
    if sorted(body.order) != list(range(len(found))) or len(program.parameters) != len(found):
        raise ProgramMismatch(f"{program.name} has {len(program.parameters)} parameters for {len(found)} inputs")
    values = [found[place](parameter.type) for place, parameter in zip(body.order, program.parameters, strict=True)]
    return body, program, plans, values


@functools.lru_cache(maxsize=64)
def _checked(data: bytes) -> tuple[Program, machine.Plans]:
    """A program that was received, and what the machine finds out about it; the rounds of a training loop send the same
    one again and again."""
    return check.load(data), {}


def _leaves(context: Context, entry: Entry | None, binding: Binding) -> Iterator[Any]:
    """For every leaf of a binding, what makes its value of the type that the program says."""
    if binding.schema is None:
        raise ProgramMismatch(f"{binding.object} was bound without a schema")
    if binding.visibility != "private":
        assert entry is not None  # held by all parties of the device, see `Job.held`
        for value in select(entry, binding):
            yield lambda _, value=value: value
        return
    owner = context.node.parties.index(binding.owner)
    plain = mpc.reference(context.node.device.ring, context.node.device.fraction_bits)
    part = None if entry is None else walk(entry.value, binding.path)
    for path, _ in leaves(binding.schema):
        array = None if entry is None else np.asarray(walk(part, path))
        name = binding.object + "".join(f"[{step}]" for step in (*binding.path, *path))
        yield lambda type_, array=array, name=name: _encoded(owner, array, type_, plain, name)


def _encoded(owner: int, array: np.ndarray | None, type_: TensorType, plain: Any, name: str) -> Private:
    try:
        return Private.of(owner, array, type_, plain)
    except InputError as error:
        error.what = f"{name}: {error.what}"
        raise


def execute(context: Context) -> Results:
    """Run it with the other parties."""
    body, program, plans, values = context.prepared
    spec = context.node.device
    protocol = spec.form()

    network = context.session.network

    async def run(party: Party) -> list[Value]:
        plain = mpc.reference(spec.ring, spec.fraction_bits)
        device = protocol(party, spec.ring, spec.fraction_bits, network)
        return await machine.run(program, values, device, plain, progress=context.rounds, plans=plans)

    results = context.run(run)
    context.prepared = None
    (output,) = context.node.outputs
    return {output.object: (results, body.schema)}

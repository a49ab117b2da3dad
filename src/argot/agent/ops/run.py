"""A program on an MPC device."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from ...devices import mpc
from ...devices.schema import Schema, leaves, resolve, walk
from ...errors import InputError, ProgramMismatch
from ...graph.node import Binding
from ...runtime.party import Party
from ...vm import machine
from ...vm.ir import Program, Var
from ...vm.values import Private, Value
from ..context import Context, Results
from ..store import Entry


class Body(msgspec.Struct, frozen=True):
    """The program, and the tree that its results form."""

    program: bytes
    schema: Schema


def prepare(context: Context) -> tuple[Body, Program, list[Value]]:
    """The checked program and this party's view of its inputs, with its own already encoded.

    Raises InputError or EncodeError for inputs that the program cannot take; only that bit crosses.
    """
    body = msgspec.msgpack.decode(context.node.body, type=Body)
    program = Program.from_bytes(body.program)
    parameters = iter(program.parameters)
    values = []
    for entry, binding in zip(context.inputs, context.node.inputs, strict=True):
        values += list(_values(context, entry, binding, parameters))
    if next(parameters, None) is not None:
        raise ProgramMismatch(f"{program.name} has more parameters than inputs")
    return body, program, values


def _values(context: Context, entry: Entry | None, binding: Binding, parameters: Iterator[Var]) -> Iterator[Value]:
    """One value for every leaf of a binding, of the type that the program says."""
    if binding.schema is None:
        raise ProgramMismatch(f"{binding.object} was bound without a schema")
    if binding.visibility != "private":
        if entry is None:
            raise ProgramMismatch(f"{binding.object} is not here")
        for value in select(entry, binding):
            next(parameters)
            yield value
        return
    owner = context.node.parties.index(binding.owner)
    spec = context.node.device
    plain = mpc.reference(spec.ring, spec.fraction_bits)
    part = None if entry is None else walk(entry.value, binding.path)
    for path, _ in leaves(binding.schema):
        parameter = next(parameters, None)
        if parameter is None:
            raise ProgramMismatch("the program has fewer parameters than inputs")
        array = None if entry is None else np.asarray(walk(part, path))
        try:
            yield Private.of(owner, array, parameter.type, plain)
        except InputError as error:
            column = [str(step) for step in (*binding.path, *path)]
            error.what = f"{binding.object}{''.join(f'[{c}]' for c in column)}: {error.what}"
            raise


def select(entry: Entry, binding: Binding) -> list[Value]:
    """The values of a part of a device's object, in the order of its leaves."""
    assert entry.schema is not None
    wanted = resolve(entry.schema, binding.path)
    names = [path for path, _ in leaves(entry.schema)]
    depth = len(binding.path)
    if binding.path and isinstance(binding.path[-1], tuple):
        chosen = [names.index((*binding.path[:-1], name)) for name in binding.path[-1]]
    else:
        chosen = [i for i, path in enumerate(names) if path[:depth] == binding.path]
    assert len(chosen) == len(list(leaves(wanted)))
    return [entry.value[i] for i in chosen]


def execute(context: Context) -> Results:
    """Run it with the other parties."""
    body, program, values = context.prepared
    spec = context.node.device
    protocol = mpc.check(spec.protocol, len(spec.parties), spec.ring, spec.fraction_bits)

    async def run(party: Party) -> list[Value]:
        return await machine.run(program, values, protocol(party, spec.ring, spec.fraction_bits))

    results = context.run(run)
    context.prepared = None
    (output,) = context.node.outputs
    return {output.object: (results, body.schema)}

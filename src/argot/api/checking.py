"""`fed.mpc(..., check="plain")`: every call is repeated in the clear, by a driver that acts for all parties.

What it needs is revealed to the first party of the device and fetched: the report has these reveals as any others.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ..agent import bodies
from ..devices.mpc import tensor
from ..devices.schema import Items, leaves, walk
from ..errors import ClearMismatch
from ..graph.graph import Call, Lowered, Ref
from ..vm.checking import Difference, Exposed, differs, exposed, first_difference, in_the_clear
from ..vm.ir import Program
from .handles import Handle
from .places import MpcDevice

TOLERANCE = 1e-2
"""Reals may differ by as much, and by as much of their size: far more than roundings, far less than an overflow."""


def check_call(device: MpcDevice, inputs: list[Handle], handle: Handle) -> None:
    """Wait for a call, and raise ClearMismatch if it gives something else than the same in the clear.

    Names the first equation that differs, of a second run which shows all values in between.
    """
    program: Program = handle.wait().ref.product.record.program
    order = [int(name[1:]) for name in program.inputs]
    given = [array for value in inputs for array in _arrays(device, value)]
    arrays = [given[i] for i in order]
    found, wanted = _arrays(device, handle), in_the_clear(program, arrays)
    if not any(b is not None and differs(a, b, TOLERANCE).any() for a, b in zip(found, wanted, strict=True)):
        return
    shown, sources = exposed(program)
    values = _arrays(device, _run(device, inputs, shown, order))
    difference = first_difference(sources, values, in_the_clear(shown, arrays), TOLERANCE)
    # A result that differs though nothing before it does: inside of a `while` or `cond`, or not in this second run.
    raise _error(handle, difference)


def _arrays(device: MpcDevice, handle: Handle) -> list[np.ndarray[Any, Any]]:
    """The leaves of a value, revealed if nobody has it."""
    schema = handle.schema
    if handle.ref.product.visibility != "private":
        handle = device.federation.reveal(handle, device.spec.parties[0])
    value = handle.value()
    return [np.asarray(walk(value, path)) for path, _ in leaves(schema)]


def _run(device: MpcDevice, inputs: list[Handle], program: Program, order: list[int]) -> Handle:
    """A call of this program with the same inputs."""
    schema = Items(tuple(tensor(v.type) for v in program.results))
    body = msgspec.msgpack.encode(bodies.Run(program.to_bytes(), schema, tuple(order)))
    visible = tuple(v.visibility for v in program.results)

    def lowered(_: list[Ref]) -> Lowered:
        return Lowered(body, schema, visible, program=program)

    title, owners = f"{program.name} with all values", [device.name]
    call = Call(device.spec, "run", title, lowered, inputs, owners, "secret", needs_schemas=True)
    return device.federation.submit(call)[0]


def _error(handle: Handle, difference: Difference | None) -> ClearMismatch:
    record = handle.ref.product.record
    if difference is None:
        return ClearMismatch(
            f"{record.title} gives something else on shares than in the clear",
            wanted="the same result",
            todo="look at its `while` loops and branches, of which no single line can be named",
            node=record.name,
        )
    source: Exposed = difference.source
    at = f" at index {difference.index}" if difference.index else ""
    loops = f" in round {', '.join(map(str, difference.rounds))}" if difference.rounds else ""
    return ClearMismatch(
        f"{source.op}{loops} gives {difference.found:.6g}{at}, in the clear {difference.wanted:.6g}",
        wanted="numbers and products that the ring holds, see docs/reference/accuracy.md",
        todo="scale the data, or use a wider ring",
        node=record.name,
        where=source.where,
    )

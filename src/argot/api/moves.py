"""Values from one place to another: revealed to a party, intersected, saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ..agent import bodies, wire
from ..agent.saved import Header
from ..devices.schema import Opaque, leaves, without_ranges
from ..errors import InputError, MoveRefused
from ..graph.graph import Call, Lowered, Ref
from ..vm.ir import SECRET, Visibility
from .handles import Handle
from .places import MpcDevice, Party
from .tracing import check_numbers, leaves_of

if TYPE_CHECKING:
    from .federation import Federation


def reveal(federation: Federation, handle: Handle, to: str) -> Handle:
    """A node that gives a value to a party, and to nobody else; the handle itself if the party owns it already."""
    product = handle.ref.product
    if product.visibility == "private" and product.owner == to:
        return handle
    if product.visibility == "private":
        device = federation.shared("pair", tuple(sorted((product.owner, to))))
    else:
        device = federation.place(product.owner).spec
        if to not in device.parties:
            device = federation.outside(device, to)

    def lower(refs: list[Ref]) -> Lowered:
        schema = refs[0].schema
        assert schema is not None
        if _has_opaque(schema):
            raise MoveRefused(
                f"an object of {product.owner} cannot leave it",
                wanted="arrays, tables, numbers, text",
                todo="turn it into such a value in a function at its owner",
            )
        plain = without_ranges(schema)  # ranges are checked where a value was made; the recipient has its own word
        kinds = tuple(known.rank for known in leaves_of(refs[0])) if device.kind == "outside" else ()
        return Lowered(msgspec.msgpack.encode(bodies.Reveal(to, plain, kinds)), plain)

    call = Call(device, "reveal", f"reveal to {to}", lower, [handle], owners=[to], recipients=(to,), needs_schemas=True)
    return federation.submit(call)[0]


def bring(handle: Handle, place: MpcDevice) -> Handle:
    """A value of a party outside of a device, as a secret on it; shared once for each handle."""
    if handle not in place.brought:
        device = place.federation.outside(place.spec, handle.ref.product.owner)
        call = Call(
            device,
            "share",
            f"share on {place.name}",
            _shared,
            [handle],
            owners=[place.name],
            visibility="secret",
            needs_schemas=True,
        )
        place.brought[handle] = place.federation.submit(call)[0]
    return place.brought[handle]


def _shared(refs: list[Ref]) -> Lowered:
    """What is known of the secret. InputError for what no device computes on."""
    (ref,) = refs
    assert ref.schema is not None
    check_numbers(ref)
    return Lowered(b"", ref.schema, tuple(SECRET for _ in leaves(ref.schema)))


def _has_opaque(schema: Any) -> bool:
    return isinstance(schema, Opaque) or any(map(_has_opaque, getattr(schema, "items", ())))


def psi(
    federation: Federation,
    left: Handle,
    right: Handle,
    left_on: tuple[str, ...],
    right_on: tuple[str, ...],
    observers: tuple[str, ...],
    allow_empty: bool,
) -> tuple[Handle, Handle]:
    """Both owners' rows of the intersection, aligned."""
    if not left_on or len(left_on) != len(right_on):
        raise InputError(f"key columns {left_on} and {right_on}", wanted="the same number, at least one")
    owners = (_owner(left), _owner(right))
    if owners[0] == owners[1]:
        raise InputError(f"both tables belong to {owners[0]}", wanted="tables of two parties")
    if set(observers) & set(owners):
        raise InputError(f"{observers[0]} owns one of the tables", wanted="a helper without a table")
    body = msgspec.msgpack.encode(bodies.Psi((left_on, right_on), allow_empty))
    call = Call(
        federation.shared("psi", (*owners, *observers)),
        "psi",
        "psi on " + ", ".join(left_on),
        lambda _: Lowered(body),
        [left, right],
        owners=owners,
        keys=(left_on, right_on),
    )
    first, second = federation.submit(call)
    return first, second


def _owner(handle: Handle) -> str:
    product = handle.ref.product
    if product.visibility != "private":
        raise InputError(f"{handle!r} is no table of a party", wanted="a table that one party owns")
    return product.owner


def save(federation: Federation, handle: Handle, name: str) -> None:
    """Each party of a device keeps its share, or the owner its value, under this name; waits until it is written."""
    device = federation.place(handle.ref.product.owner).spec
    record = federation.record(Call(device, "save", name, lambda _: Lowered(b""), [handle], needs_schemas=True))
    federation.wait_for(record)


def load(federation: Federation, place: MpcDevice | Party, name: str) -> Handle:
    """What was saved under this name."""
    spec, secret = place.spec, isinstance(place, MpcDevice)
    client = federation.client
    question = "saved" if secret else "saved value"
    answer = client.ask(spec.parties[0], lambda request: wire.Query(client.job, request, question, name))
    header = msgspec.msgpack.decode(answer, type=Header)
    leaves = tuple(Visibility(rank) for rank in header.leaves)
    call = Call(
        spec,
        "load",
        name,
        lambda _: Lowered(header.set, header.schema, leaves),
        owners=[spec.name],
        visibility="secret" if secret else "private",
        schema=header.schema,
        leaves=leaves,
        origins=header.origins,
    )
    return federation.submit(call)[0]


def delete(federation: Federation, place: MpcDevice | Party, name: str) -> None:
    """Forget what was saved under this name, at every party of the device; waits until it is done."""
    federation.wait_for(federation.record(Call(place.spec, "delete", name, lambda _: Lowered(b""))))

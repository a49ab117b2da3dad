"""An MPC device and a party outside of it: what it puts there, and what it is told.

The party is the last of a session of its own with the members of the device, who keep their ranks. Secrets go in as the
parts that each member holds, drawn by the owner alone; nobody learns anything from its own. Results come out as what
the members' first parts add up to; each hides its own by a share of zero from the members' keys of that session, so
that the sum is all that the party outside learns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import mpc
from .._core import ring
from ..errors import ProgramMismatch
from ..mpc.bits import Bits
from ..mpc.protocol import Arith, Array, Bool, full, ring_dtype
from ..runtime.party import Party, Spec
from ..vm.ir import TensorType, ir_dtype
from ..vm.values import Private, Public, Secret, Share, Value, decode
from .mpc import narrowed, reference
from .schema import DTYPES, Schema, Tensor, leaves

PUBLIC, SECRET = -1, -2
"""In `told`: of leaves that all members know, and that none knows."""


def types_of(schema: Schema) -> list[TensorType]:
    """The types of all leaves. ProgramMismatch for what cannot be secret."""
    found = []
    for path, leaf in leaves(schema):
        if not isinstance(leaf, Tensor) or leaf.dtype not in DTYPES:
            raise ProgramMismatch(f"{leaf} at {path} on an MPC device", wanted="numbers or booleans")
        found.append(TensorType(ir_dtype(leaf.dtype), leaf.shape))
    return found


def kinds_of(values: Sequence[Value]) -> tuple[int, ...]:
    """Who knows each value: `SECRET`, `PUBLIC` or a rank."""
    return tuple(PUBLIC if isinstance(v, Public) else v.owner if isinstance(v, Private) else SECRET for v in values)


async def give(
    form: mpc.Form, party: Party, ring_bits: int, types: Sequence[TensorType], given: Sequence[Share] | None = None
) -> list[Value] | None:
    """Secrets of the party outside at all members; None at the party itself.

    Args:
        form: of the device's protocol.
        party: in the session with the party outside.
        ring_bits: of the device.
        types: of the values.
        given: the values in the clear, as `vm.values.encode` makes them; only at their owner.

    Raises:
        FrameError: parts of another length than the types have.
    """
    members = party.n - 1
    computing = members - form.dealer
    if party.rank == members:
        assert given is not None, "the owner has the values"
        for share in given:
            for rank, parts in enumerate(form.parts_of(share.parts[0], computing)):
                for part in parts:
                    party.send(rank, part)
        return None
    dtype = ring_dtype(ring_bits)
    taken: list[Value] = []
    for type_ in types:
        if type_.dtype == "bool":
            none = Bits.zeros(type_.shape, 1)
            bits = [await party.recv(members, none) for _ in range(form.held)] if party.rank < computing else [none]
            taken.append(Secret(Bool(tuple(bits)), type_))
        else:
            like = Spec(type_.shape, dtype)
            zero = full(0, type_.shape, dtype)
            words = [await party.recv(members, like) for _ in range(form.held)] if party.rank < computing else [zero]
            taken.append(Secret(Arith(tuple(words)), type_))
    return taken


async def tell(
    party: Party,
    ring_bits: int,
    fraction_bits: int,
    types: Sequence[TensorType],
    kinds: Sequence[int],
    values: Sequence[Value] | None = None,
) -> list[np.ndarray] | None:
    """The arrays behind values of the members, at the party outside; None at the members.

    Args:
        party: in the session with the party outside.
        ring_bits, fraction_bits: of the device.
        types, kinds: of the values, the same at all (`kinds_of`).
        values: what this member holds; None outside.

    Raises:
        ProgramMismatch: the values are not of these types and kinds.
        FrameError: a member sent another length.
    """
    outside = party.n - 1
    if party.rank != outside:
        assert values is not None, "members have their shares"
        if kinds_of(values) != tuple(kinds) or [value.type for value in values] != list(types):
            raise ProgramMismatch("values to be told are not as the node says")
        for value in values:
            told = _told(party, outside, value)
            if told is not None:
                party.send(outside, told)
        return None
    plain, dtype = reference(ring_bits, fraction_bits), ring_dtype(ring_bits)
    found = []
    for type_, kind in zip(types, kinds, strict=True):
        if kind == PUBLIC:
            found.append(await party.recv(0, Spec(type_.shape, type_.numpy)))
            continue
        ranks = range(outside) if kind == SECRET else [kind]
        like = Bits.zeros(type_.shape, 1) if type_.dtype == "bool" else Spec(type_.shape, dtype)
        parts = [await party.recv(rank, like) for rank in ranks]
        found.append(np.asarray(decode(_sum(parts), type_, plain)))
    return found


def _told(party: Party, members: int, value: Value) -> Array | Bits | None:
    """What this member sends of a value: of secrets its hidden part, of others the value, if that is its task."""
    if isinstance(value, Public):
        return np.ascontiguousarray(value.array) if party.rank == 0 else None
    if value.share is None:
        return None
    share = value.share
    part = share.parts[0] if isinstance(share, Bool) else narrowed(share, value.type).parts[0]
    return part if isinstance(value, Private) else _hidden(party, members, part)


def _hidden(party: Party, members: int, part: Array | Bits) -> Array | Bits:
    """A part plus this member's share of zero: each pair of members has a draw in common, which one adds and the other
    takes away."""
    me = party.rank
    for other in range(members):
        if other == me:
            continue
        key = party.key(min(me, other), max(me, other))
        if isinstance(part, Bits):
            part = part ^ Bits.drawn(key, part.shape, part.width)
        else:
            part = (ring.add_stream if me < other else ring.sub_stream)(part, key)
    return part


def _sum(parts: Sequence[Array | Bits]) -> Share:
    total = parts[0]
    for part in parts[1:]:
        if isinstance(total, Bits):
            assert isinstance(part, Bits)
            total = total ^ part
        else:
            assert not isinstance(part, Bits)
            total = ring.add(total, part)
    return Bool((total,)) if isinstance(total, Bits) else Arith((total,))

"""The MPC device at one party: private inputs in, values revealed, shares to bytes and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from .. import mpc
from .._core import ring
from ..errors import ConfigError, FrameError
from ..mpc.bits import Bits
from ..mpc.plain import Plain
from ..mpc.protocol import FRACTION_BITS, Arith, Bool, Protocol, full, ring_dtype
from ..runtime.party import Party, Spec
from ..runtime.scheduler import gather
from ..vm.ir import INTEGERS, TensorType
from ..vm.values import Private, Public, Secret, Value, decode
from .schema import Tensor


def check(protocol: str, parties: int, ring: int, fraction_bits: int, dealer: bool = False) -> mpc.Form:
    """The protocol with so many members. UnknownNameError or ConfigError for a device that cannot be."""
    found = mpc.load(protocol)
    computing = parties - dealer
    if not found.fits(computing):
        fitting = [name for name in mpc.names() if mpc.load(name).fits(computing)]
        raise ConfigError(
            f"{protocol} with {computing} parties",
            wanted=found.parties_wanted(),
            todo=f"for {computing} there is {' or '.join(fitting)}" if fitting else "name as many parties as it has",
        )
    form = mpc.Form(found, parties, dealer)
    form.kind  # noqa: B018  # a dealer that is of no use is refused
    bits = ring_dtype(ring).itemsize * 8
    # The general functions, which the widest ring uses, have 122 - 2f digits of a reciprocal: 26 at least.
    most = 48 if bits == 128 else bits // 2 - 3
    if not 0 <= fraction_bits <= most:
        raise ConfigError(f"{fraction_bits} fraction bits in a ring of {ring}", wanted=f"0 to {most}")
    return form


def number_model(ring: int | str, fraction_bits: int | None) -> tuple[int, int]:
    """Bits of the ring and of the fraction, with the default of that ring where none are given."""
    bits = ring_dtype(ring).itemsize * 8
    return bits, FRACTION_BITS[bits] if fraction_bits is None else fraction_bits


def reference(ring: int, fraction_bits: int) -> Plain:
    """The protocol in the clear: what a single party encodes and decodes with."""
    return Plain(Party(0, 1, {frozenset({0}): bytes(32)}, bytes(32)), ring, fraction_bits)


def tensor(type_: TensorType) -> Tensor:
    """What a value of a program looks like to the user."""
    return Tensor(type_.numpy.name, type_.shape)


async def reveal(p: Protocol, values: Sequence[Value], to: int) -> list[np.ndarray] | None:
    """The arrays behind values, at party `to`; None at the others."""
    plain = reference(p.k, p.fraction_bits)
    found = await gather(*(_reveal_one(p, plain, value, to) for value in values))
    return [np.asarray(array) for array in found] if p.party.rank == to else None


async def _reveal_one(p: Protocol, plain: Plain, value: Value, to: int) -> np.ndarray | None:
    me = p.party.rank
    if isinstance(value, Public):
        return value.array
    if isinstance(value, Private):
        words = await _hand_over(p, value, to)
    elif isinstance(value.share, Bool):
        bits = await p.reveal_bits_to(value.share, [to])
        words = None if bits is None else Bool((bits,))
    else:
        numbers = await p.reveal_to(narrowed(value.share, value.type), [to])
        words = None if numbers is None else Arith((numbers,))
    return decode(words, value.type, plain) if me == to and words is not None else None


def narrowed(x: Arith, type_: TensorType) -> Arith:
    """The same integer at its own width. In the ring it has not wrapped: there the recipient would see, beyond the
    result, what the program drops."""
    bits = 8 * type_.numpy.itemsize
    if type_.dtype not in INTEGERS or bits >= x.k:
        return x
    mask = full(2**bits - 1, (), x.dtype)
    return x.map(lambda part: ring.and_(part, mask))


async def _hand_over(p: Protocol, value: Private, to: int) -> Arith | Bool | None:
    """A value that one party knows, to another."""
    me = p.party.rank
    if me == value.owner:
        share = value.share
        if share is None:
            raise FrameError("a private value is not where it should be")
        if to != me:
            p.party.send(to, share.parts[0] if isinstance(share, Bool) else narrowed(share, value.type).parts[0])
        return share
    if me != to:
        return None
    if value.type.dtype == "bool":
        return Bool((await p.party.recv(value.owner, Bits.zeros(value.type.shape, 1)),))
    return Arith((await p.party.recv(value.owner, Spec(value.type.shape, p.dtype)),))


class _Saved(msgspec.Struct, frozen=True):
    """One value at rest. `kind` is "public", "secret" or "private"; bits have no `numbers`."""

    kind: str
    owner: int
    dtype: str
    shape: tuple[int, ...]
    numbers: tuple[bytes, ...]
    bits: tuple[bytes, ...]


def to_bytes(values: Sequence[Value]) -> bytes:
    """What this party holds of some values."""
    return msgspec.msgpack.encode([_pack(value) for value in values])


def _pack(value: Value) -> _Saved:
    kind, owner, share = "public", -1, None
    numbers: tuple[bytes, ...] = ()
    if isinstance(value, Public):
        numbers = (np.ascontiguousarray(value.array).tobytes(),)
    elif isinstance(value, Private):
        kind, owner, share = "private", value.owner, value.share
    else:
        kind, share = "secret", value.share
    bits: tuple[bytes, ...] = ()
    if isinstance(share, Bool):
        bits = tuple(bytes(part.tobytes()) for part in share.parts)
    elif isinstance(share, Arith):
        numbers = tuple(np.ascontiguousarray(part).tobytes() for part in share.parts)
    return _Saved(kind, owner, value.type.dtype, value.type.shape, numbers, bits)


def from_bytes(data: bytes, ring: int) -> list[Value]:
    """The inverse of `to_bytes`. msgspec or ValueError for anything else."""
    return [_unpack(saved, ring_dtype(ring)) for saved in msgspec.msgpack.decode(data, type=list[_Saved])]


def _unpack(saved: _Saved, ring: np.dtype[Any]) -> Value:
    type_ = TensorType(saved.dtype, saved.shape)
    if saved.kind == "public":
        return Public(np.frombuffer(saved.numbers[0], type_.numpy).reshape(saved.shape), type_)
    share: Arith | Bool | None = None
    if saved.bits:
        share = Bool(tuple(Bits.from_bytes(part, saved.shape, 1) for part in saved.bits))
    elif saved.numbers:
        share = Arith(tuple(np.frombuffer(part, ring).reshape(saved.shape) for part in saved.numbers))
    if saved.kind == "private":
        return Private(saved.owner, share, type_)
    if share is None:
        raise ValueError("a secret without shares")
    return Secret(share, type_)

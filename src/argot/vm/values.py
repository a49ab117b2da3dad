"""Values at run time: public, private and secret.

Numbers are ring words: integers as they are (sign-extended), reals as fixed point. Booleans are boolean shares of
width 1. A private value has the same form under the `Plain` protocol, at its owner only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from argot._core import ring

from ..errors import EncodeError, InputError
from ..mpc.bits import Bits
from ..mpc.protocol import Arith, Bool, Protocol
from .ir import TensorType

Array = np.ndarray[Any, np.dtype[Any]]
Share = Arith | Bool


@dataclass(frozen=True, slots=True)
class Public:
    """An array that every party has: bool, integers, or float64 for `fixed`."""

    array: Array
    type: TensorType

    @staticmethod
    def of(array: Any, type_: TensorType) -> Public:
        """`array` as a value of `type_`. Raises InputError where the shape differs."""
        found = np.asarray(array)
        if found.shape != type_.shape:
            raise InputError(f"an array of shape {found.shape}", wanted=f"shape {type_.shape}")
        return Public(found.astype(type_.numpy, copy=False), type_)


@dataclass(frozen=True, slots=True)
class Private:
    """What the party of rank `owner` alone knows: a share of `Plain` there, None elsewhere."""

    owner: int
    share: Share | None
    type: TensorType

    @staticmethod
    def of(owner: int, array: Any | None, type_: TensorType, plain: Protocol) -> Private:
        """The owner's array, encoded; the other parties pass None. Raises InputError, EncodeError at the owner."""
        return Private(owner, None if array is None else encode(array, type_, plain), type_)


@dataclass(frozen=True, slots=True)
class Secret:
    """A share of what nobody knows."""

    share: Share
    type: TensorType


Value = Public | Private | Secret


def encode(array: Any, type_: TensorType, plain: Protocol) -> Share:
    """An owner's array in the form that protocols compute on.

    Raises:
        InputError: the shape or dtype is not the promised one.
        EncodeError: NaN, infinite or out of range; names the position.
    """
    found = np.asarray(array)
    if found.shape != type_.shape:
        raise InputError(f"an array of shape {found.shape}", wanted=f"shape {type_.shape}")
    if found.dtype.kind not in {"bool": "b", "fixed": "biuf"}.get(type_.dtype, "iu"):
        raise InputError(f"an array of dtype {found.dtype}", wanted=str(type_))
    if type_.dtype == "bool":
        return plain.public_bits(Bits.from_bool(found))
    if type_.dtype == "fixed":
        return plain.public(_encode_reals(found.astype(np.float64), plain))
    return plain.public(integers(found.astype(type_.numpy), plain))


def _encode_reals(array: Array, plain: Protocol) -> Array:
    try:
        return plain.encode(array)
    except ValueError:
        bad = np.flatnonzero(~(np.abs(array) < 2.0 ** real_bits(plain)))
        index = int(bad[0]) if bad.size else 0
        at = ", ".join(str(i) for i in np.unravel_index(index, array.shape)) if array.ndim else "()"
        raise EncodeError(
            f"the value at index ({at}) is {array.flat[index]!r}",
            wanted=f"finite numbers of magnitude below 2^{real_bits(plain)}",
            todo="scale, clip or drop such rows where the data is loaded",
        ) from None


def real_bits(p: Protocol) -> int:
    """Reals x with |x| < 2^real_bits can be encoded: two factors of the ring's precision fit beside a sign."""
    return p.k - 2 * p.fraction_bits - 2


def integers(array: Array, p: Protocol) -> Array:
    """Integers or booleans as ring words, sign-extended."""
    array = np.asarray(array, order="C")
    if array.dtype.kind in "bu":
        return ring.cast(array.astype(np.uint64), p.dtype)
    return ring.cast(array.astype(np.int64).view(np.uint64), p.dtype, signed=True)


def reals(array: Array, p: Protocol) -> Array:
    """Public reals as ring words. What does not fit becomes the largest number that does; NaN cannot come here."""
    top = 2.0 ** real_bits(p) * (1 - 2.0**-30)
    return p.encode(np.clip(np.asarray(array, np.float64), -top, top))


def decode(share: Share, type_: TensorType, p: Protocol) -> Array:
    """The array behind a revealed value: `share` has the plain words as its only part."""
    if isinstance(share, Bool):
        return share.parts[0].to_bool()
    words = share.parts[0]
    if type_.dtype == "fixed":
        return p.decode(words)
    return ring.cast(words, np.dtype(np.uint64), signed=True).astype(type_.numpy)

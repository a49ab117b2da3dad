"""Large arrays in parts: an elementwise operation on many elements, some parts of them under way at a time.

A part fits the caches, and while one is on the wire the next is computed. Each waits for the one `limit` places before
it, so that memory is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .._core import ring
from ..errors import InputError
from ..runtime import gather
from .bits import Bits
from .protocol import Arith, Bool

Places = tuple[Any, ...]
Operation = Callable[..., Coroutine[Any, Any, Any]]


SHORT = 1 << 12
"""A rest of fewer elements joins the part before it: few elements may have a form of their own."""


def starts(n: int, size: int) -> list[int]:
    """Where the parts of n elements begin, of `size` each but the last."""
    found = list(range(0, n, size))
    return found[:-1] if len(found) > 1 and n - found[-1] < SHORT else found


async def side_by_side(
    operation: Operation, shares: Sequence[Arith | Bool], limit: int, size: int, dtype: np.dtype[Any] | None = None
) -> Any:
    """The operation on parts of `size` elements (a multiple of 64), `limit` at a time, and all of its results.

    With `dtype` the result is numbers of it in two arrays, and the operation is told where its part of them belongs,
    where it may put it.
    """
    shape, n = shares[0].shape, shares[0].size
    flat = [s.reshape((n,)) for s in shares]
    whole = _Whole(n, dtype)

    begins = starts(n, size)

    async def piece(start: int, stop: int) -> None:
        pieces = [_piece(s, start, stop) for s in flat]
        made = await (operation(*pieces) if dtype is None else operation(*pieces, whole.places(start, stop)))
        whole.put(start, stop, made)

    await gather(*(piece(*ends) for ends in pairwise([*begins, n])), limit=limit)
    return whole.share.reshape(shape)


def operands(shares: tuple[Arith | Bool, ...], most: int) -> tuple[tuple[Arith | Bool, ...], bool]:
    """The shares in C order, as fused kernels want them, and whether they are taken at once: `most` elements or
    fewer, or one operand without axes. InputError for shapes that do not go together."""
    alike = check_shapes(*shares)
    return tuple(_contiguous(share) for share in shares), not alike or shares[0].size <= most


def check_shapes(*shares: Arith | Bool) -> bool:
    """Whether all shapes are equal; else all but those without axes must be."""
    shape = shares[0].shape
    for share in shares:
        if share.shape != shape:
            break
    else:
        return True
    if len({share.shape for share in shares} - {()}) > 1:
        raise InputError(
            "operands of shapes " + " and ".join(str(share.shape) for share in shares), wanted="equal shapes"
        )
    return False


def _contiguous(x: Arith | Bool) -> Arith | Bool:
    """In C order; nothing is copied that is so already."""
    if isinstance(x, Arith):
        for part in x.parts:
            if not part.flags.c_contiguous:
                return x.map(lambda part: np.asarray(part, order="C"))
    return x


def _piece(x: Arith | Bool, start: int, stop: int) -> Arith | Bool:
    """Elements start..stop-1 of a flat share; start is a multiple of 64."""
    if isinstance(x, Arith):
        return x.map(lambda part: part[start:stop])
    words = slice(start // 64, -(-stop // 64))
    return x.map(lambda part: Bits(np.ascontiguousarray(part.planes[:, words]), (stop - start,)))


class _Whole:
    """The opposite of `_piece`: a flat share made of pieces, each copied to its place while it is in the cache, or made
    there. `dtype` is that of numbers of which the places are needed before they are there."""

    share: Arith | Bool

    def __init__(self, n: int, dtype: np.dtype[Any] | None = None) -> None:
        self.n = n
        if dtype is not None:
            self.share = Arith((ring.empty((n,), dtype), ring.empty((n,), dtype)))

    def places(self, start: int, stop: int) -> Places:
        """Where elements start..stop-1 belong."""
        assert isinstance(self.share, Arith)
        own, following = self.share.parts
        return own[start:stop], following[start:stop]

    def put(self, start: int, stop: int, piece: Arith | Bool) -> None:
        """Elements start..stop-1. The first piece says what kind of share it is."""
        if not hasattr(self, "share"):
            self.share = self._empty(piece)
        for whole, part in zip(self.share.parts, piece.parts, strict=True):
            if isinstance(whole, Bits) and isinstance(part, Bits):
                whole.planes[:, start // 64 : -(-stop // 64)] = part.planes
            elif isinstance(whole, np.ndarray) and isinstance(part, np.ndarray):
                place = whole[start:stop]
                if not np.may_share_memory(place, part):  # else it was made there
                    place[...] = part

    def _empty(self, piece: Arith | Bool) -> Arith | Bool:
        if isinstance(piece, Arith):
            return Arith(tuple(ring.empty((self.n,), part.dtype) for part in piece.parts))
        words = -(-self.n // 64)
        return Bool(tuple(Bits(ring.empty((p.width, words), np.uint64), (self.n,)) for p in piece.parts))

"""The place of the highest one in a shared word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runtime import cost
from ..bits import Bits, Planes
from ..protocol import Bool, Protocol


def stack(words: Sequence[Bool]) -> Bool:
    """Words side by side, the first lowest."""
    parts = zip(*(word.parts for word in words), strict=True)
    return Bool(tuple(Bits(np.concatenate([b.planes for b in part]), part[0].shape) for part in parts))


def repeat(bit: Bool, width: int) -> Bool:
    """A word with all `width` bits equal to `bit`."""
    return bit.map(lambda part: Bits(np.repeat(part.planes, width, axis=0), part.shape))


def products(w: int) -> int:
    """Products of bits in a tournament of w that carries positions: stages join pairs, of one bit more each time."""
    total, bits = 0, 1
    while w > 1:
        total += w // 2 * bits
        w, bits = w - w // 2, bits + 1
    return total


@cost(rounds="log2(w) * and_(w=1)", bits="and_(w=products(w))")
async def leading_one(p: Protocol, word: Bool) -> tuple[Bool, Bool]:
    """(place, found): the position of the highest one as ceil(log2(width)) bits, and whether there is one.

    Where there is none the position is 0. Neighbours are joined as in a tournament: of two groups of bits the upper
    wins if it has a one; the position within the winner follows, and the join adds the bit that says who won. With
    w bits this takes ceil(log2 w) rounds and, if w is a power of two, 2w - log2(w) - 2 products of bits.
    """
    shape = word.shape
    # For each part (rows, groups, words): row 0 whether the group has a one, the others the bits of its place.
    groups = [part.planes[None] for part in word.parts]
    while groups[0].shape[1] > 1:
        pairs = groups[0].shape[1] // 2
        lower = _bits([g[:, 0 : 2 * pairs : 2] for g in groups], shape)
        upper = [g[:, 1 : 2 * pairs : 2] for g in groups]
        beaten = await p.and_(lower, _bits([np.broadcast_to(u[:1], u.shape) for u in upper], shape))
        # A group without a one has position 0, so upper ^ (lower where upper has none) selects.
        joined = p.xor(p.xor(lower, beaten), _bits(upper, shape))
        groups = [
            _joined(new.planes, one[0], group[:, 2 * pairs :])
            for new, one, group in zip(joined.parts, upper, groups, strict=True)
        ]
    return _bits([g[1:] for g in groups], shape), _bits([g[:1] for g in groups], shape)


def _bits(parts: Sequence[Planes], shape: Sequence[int]) -> Bool:
    """Planes (rows, groups, words) of each part, all side by side."""
    return Bool(tuple(Bits(part.reshape(part.shape[0] * part.shape[1], part.shape[2]), tuple(shape)) for part in parts))


def _joined(joined: Planes, wins: Planes, odd: Planes) -> Planes:
    """The next groups: pairs with their new bit of place, then the group that had no partner, which loses none."""
    pairs, words = wins.shape
    rows = odd.shape[0]
    out = np.zeros((rows + 1, pairs + odd.shape[1], words), joined.dtype)
    out[:-1, :pairs], out[-1, :pairs], out[:-1, pairs:] = joined.reshape(rows, pairs, words), wins, odd
    return out

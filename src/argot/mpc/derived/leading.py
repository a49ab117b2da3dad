"""The place of the highest one in a shared word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runtime import cost
from ..bits import Bits
from ..protocol import Bool, Protocol


def stack(words: Sequence[Bool]) -> Bool:
    """Words side by side, the first lowest."""
    parts = zip(*(word.parts for word in words), strict=True)
    return Bool(tuple(Bits(np.concatenate([b.planes for b in part]), part[0].shape) for part in parts))


def repeat(bit: Bool, width: int) -> Bool:
    """A word with all `width` bits equal to `bit`."""
    return bit.map(lambda part: Bits(np.repeat(part.planes, width, axis=0), part.shape))


def _every_second(word: Bool, start: int, pairs: int) -> Bool:
    return word.map(lambda part: Bits(np.ascontiguousarray(part.planes[start : 2 * pairs : 2]), part.shape))


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
    found: Bool = word
    place: list[Bool] = []
    while found.width > 1:
        pairs, odd = divmod(found.width, 2)
        lower = [_every_second(row, 0, pairs) for row in (found, *place)]
        upper = [_every_second(row, 1, pairs) for row in (found, *place)]
        wins = upper[0]
        beaten = await p.and_(stack(lower), stack([wins] * len(lower)))
        # A group without a one has position 0, so upper ^ (lower where upper has none) selects.
        joined = p.xor(p.xor(stack(lower), beaten), stack(upper))
        rows = [joined.bits_at(i * pairs, (i + 1) * pairs) for i in range(len(lower))] + [wins]
        if odd:
            last = [row.bits_at(2 * pairs, 2 * pairs + 1) for row in (found, *place)]
            last.append(wins.map(lambda part: Bits.zeros(part.shape, 1)))
            rows = [stack([row, end]) for row, end in zip(rows, last, strict=True)]
        found, place = rows[0], rows[1:]
    return (stack(place) if place else found.map(lambda part: Bits.zeros(part.shape, 0))), found

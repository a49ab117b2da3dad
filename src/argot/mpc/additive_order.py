"""Orders on additive shares: a shuffle is one private permutation after another, and the rest is built on it.

* `shuffle`   every party in turn permutes with a permutation of its own (`_moved`): nobody knows the product.
* `place`     y[places[i]] = x[i]: places and values are shuffled alike, then the places are opened: uniform, whatever
              they were before (Laur, Willemson, Zhang: ISC 2011; Chida et al., eprint 2019/695).
* `take`      y[j] = x[order[j]]: the order is shuffled and opened, x is taken in that order, and what comes out is
              shuffled back.
* `order`     radix sort, a bit a pass: how many zeros, and ones, come before says where each word goes; `place`.
"""

from __future__ import annotations

import functools
import operator
from abc import abstractmethod
from collections.abc import Sequence
from math import prod

import numpy as np

from .._core import ring
from ..errors import FrameError
from ..runtime.meter import Chains
from .additive import Additive, Column
from .bits import Bits
from .protocol import Arith, Array, Bool, index_bits, row_starts

PLACE = np.dtype(np.uint32)
"""Places are opened in the smallest ring."""


class Ordered(Additive):
    """Additive shares on which private permutations can be applied."""

    @abstractmethod
    async def _moved(self, columns: Sequence[Column], index: Array | None, mover: int) -> list[Column]:
        """This party's parts of columns[i][index], for an index that party `mover` has, and a dealer."""

    @abstractmethod
    def _permutations(self, n: int) -> list[Array | None]:
        """A permutation of each party, uniform and new; None for those that this member does not know."""


async def shuffled(p: Ordered, columns: Sequence[Column], permutations: Sequence[Array | None]) -> list[Column]:
    """Columns after all permutations, those of lower ranks first."""
    found = list(columns)
    for mover, index in enumerate(permutations):
        found = await p._moved(found, index, mover)
    return found


async def shuffled_back(p: Ordered, columns: Sequence[Column], permutations: Sequence[Array | None]) -> list[Column]:
    """The reverse of `shuffled`."""
    found = list(columns)
    for mover, index in reversed(list(enumerate(permutations))):
        found = await p._moved(found, None if index is None else np.argsort(index), mover)
    return found


async def shuffle(p: Ordered, values: Sequence[Arith | Bool]) -> list[Arith | Bool]:
    """See `Protocol.shuffle`."""
    columns = await shuffled(p, [v.parts[0] for v in values], p._permutations(values[0].shape[0]))
    return _shares(columns)


async def place(p: Ordered, values: Sequence[Arith | Bool], places: Bool) -> list[Arith | Bool]:
    """See `Protocol.place`."""
    columns = [places.parts[0], *(v.parts[0] for v in values)]
    target, *columns = await shuffled(p, columns, p._permutations(places.shape[0]))
    opened = await _opened(p, target)
    if p.computes:
        back = np.argsort(opened)
        columns = [taken(column, back) for column in columns]
    return _shares(columns)


async def take(p: Ordered, values: Sequence[Arith | Bool], order: Bool) -> list[Arith | Bool]:
    """See `Protocol.take`."""
    permutations = p._permutations(order.shape[0])
    (source,) = await shuffled(p, [order.parts[0]], permutations)
    opened = await _opened(p, source)
    columns = [v.parts[0] for v in values]
    if p.computes:
        columns = [taken(column, opened) for column in columns]
    return _shares(await shuffled_back(p, columns, permutations))


async def order(p: Ordered, key: Bool) -> Bool:
    """See `Protocol.order`."""
    n = prod(key.shape)
    words = Bits.from_ring(np.arange(n, dtype=np.uint64).reshape(key.shape), index_bits(n))
    index: Column = p.public_bits(words).parts[0].reshape((n,))
    place: Column
    rest = key
    while rest.width:
        place = (await _places(p, rest.bits_at(0, 1))).parts[0].reshape(n)
        rest = rest.bits_at(1, rest.width)
        columns = [place, index, *([rest.parts[0].reshape((n,))] if rest.width else [])]
        place, *columns = await shuffled(p, columns, p._permutations(n))
        opened = await _opened(p, place)
        if p.computes:
            back = np.argsort(opened)
            columns = [taken(column, back) for column in columns]
        index, *left = columns
        if left:
            rest = _word(left[0], key.shape)
    return _word(index, key.shape)


def _word(column: Column, shape: tuple[int, ...]) -> Bool:
    assert isinstance(column, Bits)
    return Bool((column.reshape(shape),))


async def _places(p: Ordered, bit: Bool) -> Arith:
    """Where each element goes, counted over the whole array, so that in each row those with a zero come first, in their
    order: those before it with the same bit, and behind a one all zeros of the row.
    """
    ones = await p.b2a(bit)
    zeros = p.add_public(p.neg(ones), 1)
    last = bit.shape[-1] - 1
    counted, before = p.cumsum(ones, len(bit.shape) - 1), p.cumsum(zeros, len(bit.shape) - 1)
    total = before.map(lambda part: np.ascontiguousarray(np.broadcast_to(part[..., last:], part.shape)))
    apart = p.sub(p.add(total, counted), before)
    found = p.add(before, await p.mul_bit(bit, apart))
    starts = np.ascontiguousarray(np.broadcast_to(row_starts(bit.shape), bit.shape)).astype(np.uint64) - np.uint64(1)
    found = found.map(lambda part: ring.cast(part, PLACE))
    return p.add_public(found, ring.cast(starts, PLACE))


async def _opened(p: Ordered, places: Column) -> Array:
    """Places, opened to all that compute, which must be a permutation; others get what they gave. Raises FrameError."""
    (opened,) = await p._open(places)
    index = _index(opened) if isinstance(opened, Bits) else opened
    if p.computes:
        seen = np.zeros(index.size, bool)
        seen[index[index < index.size]] = True
        if not seen.all():
            raise FrameError(
                f"{index.size} places of a sort, opened, are not a permutation",
                todo="look for a party that is not well",
            )
    return index


def taken(column: Column, index: Array) -> Column:
    """column[index]"""
    if not isinstance(column, Bits):
        return column[index]
    row = prod(column.shape[1:])
    every = index if row == 1 else (index[:, None] * row + np.arange(row)).reshape(-1)
    return column.reshape((column.size,)).take(every).reshape((len(index), *column.shape[1:]))


def _index(words: Bits) -> Array:
    return words.to_ring(np.uint64).astype(np.int64)


def _shares(columns: Sequence[Column]) -> list[Arith | Bool]:
    return [Bool((column,)) if isinstance(column, Bits) else Arith((column,)) for column in columns]


# ---- costs --------------------------------------------------------------------------------------------------------


def index_width(n: int) -> int:
    """Bits of an index among n."""
    return index_bits(int(n))


def order_rounds(w: int, members: int) -> int:
    """Of `order`. Who gives to a mover waits for nobody, so its next messages may leave while the mover still waits:
    the rounds of passes overlap, and the longest chain is counted message by message."""

    def told(*ranks: int) -> Chains:
        sent = [Chains.sends(a, b, members) for b in ranks for a in range(members) if a != b]
        return functools.reduce(operator.or_, sent)

    every = told(*range(members))
    turns = functools.reduce(operator.add, [told(mover) for mover in range(members)])
    return (int(w) * (every + every + turns + every)).longest


def order_bits(w: int, n: int, step: int, moved: int, all_: int) -> int:
    """Of `order`: passes of `step` bits each for the places, and `moved` for a bit of a column that is shuffled."""
    places, index = 8 * PLACE.itemsize, index_width(n)
    return sum(step + moved * (places + left + index) + all_ * places for left in range(int(w)))

"""ABY3: secret permutations and sorting.

A permutation that nobody knows is a product of three, each drawn by two of the parties: who is left out of one cannot
follow. While a pair permutes, the words are shared between those two; then one of them passes its half on, behind a
mask, to the one who was left out (Chida et al., eprint 2019/695, algorithm 9; Araki et al., "Secure Graph Analysis at
Scale", CCS 2021, section 4).

Sorting is a radix sort from the lowest digit (Chida et al., section 4): for every element the place where a stable
sort by that digit puts it; elements and places are shuffled together, and the places opened, which are then a random
permutation. The place is computed from the two addends of a digit, u at party 0 and v at the others: where the one-hot
code of u is shared between parties 1 and 2, that of u ^ v is a matter of names. aby3_order.md has the argument.

Words travel packed, so many bits each as they have, and places are numbers mod 2^m, no wider than they must be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .._core import mpc, prf, ring
from ..errors import FrameError, InputError
from ..runtime import Spec, cost, gather
from .bits import Bits
from .protocol import RINGS, Arith, Array, Bool, index_bits, row_starts

if TYPE_CHECKING:
    from .aby3 import Aby3

DIGIT = 3
"""Bits of a digit. With two or four bits the bytes are about the same, with two there are more rounds."""

WORD = 21 * DIGIT
"""Bits of a key that are carried in one word."""

ROWS = 1 << 17
"""Rows above which a one-hot code is made in parts; a multiple of 8, so that packed words fill their bytes."""

IN_FLIGHT = 4
"""Such parts at a time."""

FORTH, BACK = (1, 2, 0), (0, 2, 1)
"""Who is left out of the three permutations, one after the other."""

U8, U32 = np.dtype(np.uint8), np.dtype(np.uint32)

# Whose messages make the rounds (`runtime.meter`).
WALK, MEET = "sends(2, 1) + sends(0, 2)", "gather(sends(1, 2), sends(2, 1))"
OPENED = f"{MEET} + sends(1, 0)"


@dataclass(frozen=True)
class Column:
    """Words of `width` bits along the first axis, shared between two parties: the sum of two halves mod 2^width, or
    their exclusive or.

    Attributes:
        half: this party's; None at the third. What is above the width may be anything.
        spec: of the whole array.
        added: whether the halves are added.
    """

    half: Array | None
    spec: Spec
    width: int
    added: bool

    @property
    def mine(self) -> Array:
        assert self.half is not None
        return self.half

    def of(self, half: Array | None) -> Column:
        return replace(self, half=half)

    def plus(self, mask: Array) -> Array:
        total: Array = ring.add(self.mine, mask) if self.added else ring.xor(self.mine, mask)
        return total

    def minus(self, mask: Array) -> Array:
        difference: Array = ring.sub(self.mine, mask) if self.added else ring.xor(self.mine, mask)
        return difference


# ---- on shares -------------------------------------------------------------------------------------------------------


@cost(rounds=f"{WALK} + {MEET}", bits="4*w")
async def shuffle(p: Aby3, values: Sequence[Arith | Bool]) -> list[Arith | Bool]:
    """The values in one new order along their first axis, which nobody knows. w: bits of an element of all values."""
    columns = [_between(p, value, 1) for value in values]
    made = await _walk(p, columns, FORTH, _draw_orders(p, columns[0].spec.shape[0]))
    return [_value(c, parts) for c, parts in zip(columns, await _shared(p, made, 0), strict=True)]


@cost(rounds=f"{WALK} + {OPENED}", bits="5*index_bits(n) + 4*w")
async def place(p: Aby3, values: Sequence[Arith | Bool], places: Bool) -> list[Arith | Bool]:
    """y[places[i]] = x[i]. `places` is a permutation."""
    _check_lengths(values, places.size)
    columns = [_between(p, value, 1) for value in (places, *values)]
    made = await _walk(p, columns, FORTH, _draw_orders(p, places.size))
    opened, parts = await gather(_opened(p, made[0]), _shared(p, made[1:], 0))
    return [
        _value(c, tuple(_scattered(part, opened) for part in both)) for c, both in zip(columns[1:], parts, strict=True)
    ]


@cost(
    rounds=f"{WALK} + {OPENED} + sends(2, 0) + sends(1, 2) + gather(sends(0, 2), sends(2, 0))",
    bits="5*index_bits(n) + 4*w",
)
async def take(p: Aby3, values: Sequence[Arith | Bool], order: Bool) -> list[Arith | Bool]:
    """y[j] = x[order[j]]. `order` is a permutation: it is shuffled and opened, x taken by what was opened, which is y
    in shuffled order, and the shuffle undone."""
    _check_lengths(values, order.size)
    forth = _draw_orders(p, order.size)
    (made,) = await _walk(p, [_between(p, order, 1)], FORTH, forth)
    opened = await _opened(p, made)
    columns = [_between(p, value, 0) for value in values]
    columns = [c.of(None if c.half is None else np.take(c.half, opened, axis=0)) for c in columns]
    back = [None if one is None else _scattered(np.arange(order.size), one) for one in reversed(forth)]
    made_back = await _walk(p, columns, BACK, back)
    return [_value(c, parts) for c, parts in zip(columns, await _shared(p, made_back, 1), strict=True)]


def order_bits(w: int, m: int) -> int:
    """Bits sent for each word of w bits that is sorted, where places have m."""
    total = 0
    while w:
        digit = min(DIGIT, w)
        w -= digit
        total += (3 * (2**digit - 1) + 10) * m + 4 * w
    return total


@cost(
    rounds=f"ceil(w / {DIGIT}) * (sends(0, 2) + {MEET} + sends(1, 2) + {WALK} + {OPENED})",
    bits="order_bits(w, index_bits(n))",
)
async def order(p: Aby3, key: Bool) -> Bool:
    """The stable ascending order of unsigned words along the last axis: [the index, counted over all, of the word that
    comes to each place], ceil(log2(size)) bits."""
    n, width = key.size, index_bits(key.size)
    if n == 0 or key.width == 0:
        return p.public_bits(Bits.from_ring(np.arange(n, dtype=np.uint32).reshape(key.shape), width))
    starts = range(0, key.width, WORD)
    mine = p.bit_addend(key)
    pieces = [mine.planes_at(i, min(i + WORD, key.width)) for i in starts]
    words = [(_words(piece).reshape(-1), piece.width) for piece in pieces]
    index = np.arange(n, dtype=np.uint32) if p.party.rank == 0 else np.zeros(n, np.uint32)
    while True:
        (lowest, left), *words = words
        digit = min(DIGIT, left)
        places = await _places(p, lowest, digit, key.shape)
        if left > digit:
            words = [(ring.shr(lowest, digit), left - digit), *words]
        columns = [places, _column(p, index, width), *(_column(p, word, bits) for word, bits in words)]
        made = await _walk(p, columns, FORTH, _draw_orders(p, n))
        opened, shares = await gather(_opened(p, made[0]), _shared(p, made[1:], 0))
        if not words:
            parts = tuple(_scattered(part, opened) for part in shares[0])
            return Bool(tuple(Bits.from_ring(part, width).reshape(key.shape) for part in parts))
        index, *moved = (_scattered(_addend(p, parts), opened) for parts in shares)
        words = [(word, bits) for word, (_, bits) in zip(moved, words, strict=True)]


# ---- the place of every word by one digit ----------------------------------------------------------------------------


async def _places(p: Aby3, words: Array, digit: int, shape: tuple[int, ...]) -> Column:
    """[the place, in rows of shape[-1], where a stable sort by the low `digit` bits puts each word], between parties 2
    and 0. `words` is this party's addend, flat. 3 rounds.

    With one-hot codes f_v and S_v(i) the number of words before i in the order of (digit, index), were its digit v:
    the place is the sum over v of f_v S_v, and S is a running sum of f.
    """
    party, n, count = p.party, words.size, 1 << digit
    width = index_bits(n)
    low = np.bitwise_and(ring.cast(words, U32), np.uint32(count - 1))
    code = await _code(p, low, count, width)
    z = mpc.code_places(*code, (party.rank == 0, party.rank == 2), shape[-1])
    z = ring.add(z, ring.zero((n,), U32, *p._zero_keys()))
    like = Column(None, Spec((n,), U32), width, True)
    if party.rank == 1:
        _send(p, 2, [like.of(z)])
        return like
    if party.rank == 2:
        (theirs,) = await _receive(p, 1, [like])
        return like.of(ring.add(z, theirs.mine))
    starts = np.broadcast_to(row_starts(shape), shape).astype(np.uint32)
    return like.of(ring.add(z, starts.reshape(-1)))


async def _code(p: Aby3, low: Array, count: int, width: int) -> tuple[Array, Array]:
    """[[u ^ v = t]] for all t < count - 1, this party's two parts, from u (party 0) or v (the others). 2 rounds.

    In parts side by side: what is under way takes several times the memory of the result.
    """
    n = low.size
    if n <= ROWS:
        return await _code_of(p, low, count, width)
    whole = np.empty((count - 1, n), U32), np.empty((count - 1, n), U32)

    async def piece(start: int) -> None:
        rows = slice(start, start + ROWS)
        for part, made in zip(whole, await _code_of(p, low[rows], count, width), strict=True):
            part[:, rows] = made

    await gather(*(piece(start) for start in range(0, n, ROWS)), limit=IN_FLIGHT)
    return whole


async def _code_of(p: Aby3, low: Array, count: int, width: int) -> tuple[Array, Array]:
    """All of it at once."""
    party, n = p.party, low.size
    like = Column(None, Spec((count - 1, n), U32), width, True)
    if party.rank == 0:
        code = (np.arange(count - 1, dtype=np.uint32)[:, None] == low).astype(np.uint32)
        _send(p, 2, [like.of(ring.sub_stream(code, party.key(0, 1)))])
    else:
        if party.rank == 1:
            half = party.draw(like.spec.shape, U32, 0, 1)
        else:
            (received,) = await _receive(p, 0, [like])
            half = received.mine
        # The code of u, named anew: entry t is that of u = t ^ v.
        half = np.ascontiguousarray(half)
        mpc.code_rename(half, low, party.rank == 1)
        like = like.of(half)
    (parts,) = await _shared(p, [like], 0)
    return parts


# ---- permutations ----------------------------------------------------------------------------------------------------


def _draw_orders(p: Aby3, n: int) -> list[Array | None]:
    """Three fresh permutations, in the order of `FORTH`, each at the two who draw it."""
    drawers = [((out + 1) % 3, (out + 2) % 3) for out in FORTH]
    return [prf.permutation(p.party.key(*pair), n) if p.party.rank in pair else None for pair in drawers]


async def _walk(
    p: Aby3, columns: Sequence[Column], outs: Sequence[int], orders: Sequence[Array | None]
) -> list[Column]:
    """The columns permuted by all three orders. They come between the two who know the first order, and end between the
    two who know the last. 2 rounds."""
    rank, made = p.party.rank, list(columns)
    for out, leaves, order in zip(outs, (*outs[1:], None), orders, strict=True):
        if order is not None:
            made = [c.of(np.take(c.mine, order, axis=0)) for c in made]
        if leaves is None:
            break
        stays = 3 - out - leaves
        if rank == out:
            made = await _receive(p, leaves, made)
            continue
        masks = [p.party.draw(c.spec.shape, c.spec.dtype, leaves, stays) for c in made]
        if rank == leaves:
            _send(p, out, [c.of(c.plus(mask)) for c, mask in zip(made, masks, strict=True)])
            made = [c.of(None) for c in made]
        else:
            made = [c.of(c.minus(mask)) for c, mask in zip(made, masks, strict=True)]
    return made


async def _opened(p: Aby3, column: Column) -> Array:
    """A column between parties 1 and 2, opened to all, which must be a permutation. 2 rounds."""
    rank = p.party.rank
    if rank == 0:
        (whole,) = await _receive(p, 1, [column])
        opened = whole.mine
    else:
        _send(p, 3 - rank, [column])
        (theirs,) = await _receive(p, 3 - rank, [column])
        opened = column.plus(theirs.mine) & np.uint32(2**column.width - 1)
        if rank == 1:
            _send(p, 0, [column.of(opened)])
    seen = np.zeros(opened.size, bool)
    seen[opened[opened < opened.size]] = True
    if not seen.all():
        raise FrameError(
            "the places of a sort, opened, are not a permutation", todo="look for a party that is not well"
        )
    return opened


async def _shared(p: Aby3, columns: Sequence[Column], out: int) -> list[tuple[Array, Array]]:
    """Fresh shares among all, this party's two parts, of columns between the two others than `out`. 1 round."""
    rank = p.party.rank
    if rank == out:
        before, after = (rank + 2) % 3, (rank + 1) % 3
        return [(_drawn(p, c, before), _drawn(p, c, after)) for c in columns]
    masks = [_drawn(p, c, out) for c in columns]
    hidden = [c.of(c.minus(mask)) for c, mask in zip(columns, masks, strict=True)]
    other = 3 - out - rank
    _send(p, other, hidden)
    rest = [c.plus(theirs.mine) for c, theirs in zip(hidden, await _receive(p, other, columns), strict=True)]
    first = rank == (out + 1) % 3
    return [(mask, r) if first else (r, mask) for mask, r in zip(masks, rest, strict=True)]


def _drawn(p: Aby3, c: Column, other: int) -> Array:
    return p.party.draw(c.spec.shape, c.spec.dtype, other, p.party.rank)


def _check_lengths(values: Sequence[Arith | Bool], n: int) -> None:
    for value in values:
        if value.shape[:1] != (n,):
            raise InputError(f"a value of shape {value.shape} in an order of {n}", wanted=f"{n} rows")


# ---- between shares and columns --------------------------------------------------------------------------------------


def _between(p: Aby3, value: Arith | Bool, out: int) -> Column:
    """A share as a column between the two others than `out`: the party after it adds its two parts."""
    rank = p.party.rank
    words = [_words(part) for part in value.parts]
    width = value.width if isinstance(value, Bool) else value.k
    column = Column(None, Spec(value.shape, words[0].dtype), width, isinstance(value, Arith))
    if rank == out:
        return column
    own = column.of(words[0])
    return own.of(own.plus(words[1])) if rank == (out + 1) % 3 else column.of(words[1])


def _words(part: Array | Bits) -> Array:
    if isinstance(part, Bits):
        return part.to_ring(next(dtype for bits, dtype in RINGS.items() if part.width <= bits))
    return np.ascontiguousarray(part)


def _value(column: Column, parts: tuple[Array, ...]) -> Arith | Bool:
    """Shares of the kind that `column` came from."""
    if column.added:
        return Arith(tuple(parts))
    return Bool(tuple(Bits.from_ring(part, column.width) for part in parts))


def _addend(p: Aby3, parts: tuple[Array, Array]) -> Array:
    """x0 ^ x1 at party 0, x2 at the others."""
    own, following = parts
    if p.party.rank == 0:
        mixed: Array = ring.xor(own, following)
        return mixed
    return following if p.party.rank == 1 else own


def _column(p: Aby3, addend: Array, width: int) -> Column:
    """Words of which this party has an addend, between parties 2 and 0."""
    return Column(None if p.party.rank == 1 else addend, Spec(addend.shape, addend.dtype), width, False)


def _scattered(part: Array, places: Array) -> Array:
    moved = np.empty_like(part)
    moved[places] = part
    return moved


# ---- messages --------------------------------------------------------------------------------------------------------


def _send(p: Aby3, to: int, columns: Sequence[Column]) -> None:
    for c in columns:
        whole = c.width == 8 * c.spec.dtype.itemsize
        p.party.send(to, c.mine if whole else mpc.pack(np.ascontiguousarray(c.mine).reshape(-1), c.width))


async def _receive(p: Aby3, source: int, columns: Sequence[Column]) -> list[Column]:
    made = []
    for c in columns:
        if c.width == 8 * c.spec.dtype.itemsize:
            made.append(c.of(await p.party.recv(source, c.spec)))
            continue
        words = np.empty(c.spec.shape, c.spec.dtype)
        packed = await p.party.recv(source, Spec((-(-words.size * c.width // 8),), U8))
        mpc.unpack(packed, c.width, words.reshape(-1))
        made.append(c.of(words))
    return made

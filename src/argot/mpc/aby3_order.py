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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
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
"""Bits of a key longer than 64 that are carried in one word: whole digits."""

AT_ONCE = 1 << 17
PART = 1 << 15
IN_FLIGHT, WIDE = 2, 8
"""Elements above which one-hot codes are made in parts, elements of a part, and parts at a time: few of many, so that
memory stays bounded, but all of a few, which then take no more rounds than one."""

PIECE = 1 << 16
"""Rows that are moved at a time."""

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

    def plus(self, mask: Array, out: Array | None = None) -> Array:
        total: Array = (ring.add if self.added else ring.xor)(self.mine, mask, out=out)
        return total

    def minus(self, mask: Array, out: Array | None = None) -> Array:
        difference: Array = (ring.sub if self.added else ring.xor)(self.mine, mask, out=out)
        return difference


# ---- on shares -------------------------------------------------------------------------------------------------------


@cost(rounds=f"{WALK} + {MEET}", bits="4*w")
async def shuffle(p: Aby3, values: Sequence[Arith | Bool]) -> list[Arith | Bool]:
    """The values in one new order along their first axis, which nobody knows. w: bits of an element of all values."""
    columns = [_between(p, value, 1) for value in values]
    forms = _forms(columns)
    await _walk(p, columns, _order_keys(p))
    return [_value(form, parts) for form, parts in zip(forms, await _shared(p, columns, 0), strict=True)]


@cost(rounds=f"{WALK} + {OPENED}", bits="5*index_bits(n) + 4*w")
async def place(p: Aby3, values: Sequence[Arith | Bool], places: Bool) -> list[Arith | Bool]:
    """y[places[i]] = x[i]. `places` is a permutation."""
    _check_lengths(values, places.size)
    columns = [_between(p, value, 1) for value in (places, *values)]
    forms = _forms(columns[1:])
    opened, shares = await _walked(p, columns)
    return [_value(form, _both_scattered(parts, opened)) for form, parts in zip(forms, shares, strict=True)]


@cost(
    rounds=f"{WALK} + {OPENED} + sends(2, 0) + sends(1, 2) + gather(sends(0, 2), sends(2, 0))",
    bits="5*index_bits(n) + 4*w",
)
async def take(p: Aby3, values: Sequence[Arith | Bool], order: Bool) -> list[Arith | Bool]:
    """y[j] = x[order[j]]. `order` is a permutation: it is shuffled and opened, x taken by what was opened, which is y
    in shuffled order, and the shuffle undone."""
    _check_lengths(values, order.size)
    keys = _order_keys(p)
    columns = [_between(p, order, 1)]
    await _walk(p, columns, keys)
    opened = await _opened(p, columns.pop())
    columns += [_between(p, value, 0) for value in values]
    forms = _forms(columns)
    columns = [c.of(None if c.half is None else _taken(c.half, opened)) for c in columns]
    await _walk(p, columns, keys, back=True)
    return [_value(form, parts) for form, parts in zip(forms, await _shared(p, columns, 1), strict=True)]


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
    shape, n, width = key.shape, key.size, index_bits(key.size)
    if n == 0 or key.width == 0:
        return p.public_bits(Bits.from_ring(np.arange(n, dtype=np.uint32).reshape(shape), width))
    words = _key_words(p, key)
    del key
    index = np.arange(n, dtype=np.uint32) if p.party.rank == 0 else np.zeros(n, np.uint32)
    while True:
        (lowest, left), *words = words
        digit = min(DIGIT, left)
        places = await _places(p, lowest, digit, shape)
        if left > digit:
            words = [(ring.shr(lowest, digit), left - digit), *words]
        widths = [bits for _, bits in words]
        columns = [places, _column(p, index, width), *(_column(p, word, bits) for word, bits in words)]
        del places, index, words, lowest
        opened, shares = await _walked(p, columns)
        if not widths:
            return Bool(
                tuple(Bits.from_ring(part, width).reshape(shape) for part in _both_scattered(shares[0], opened))
            )
        index, *moved = (_scattered(_addend(p, shares.pop(0)), opened) for _ in range(len(shares)))
        words = list(zip(moved, widths, strict=True))


def _key_words(p: Aby3, key: Bool) -> list[tuple[Array, int]]:
    """This party's addend of the key as words, the lowest first, with their widths."""
    mine = p.bit_addend(key)
    step = WORD if key.width > 64 else 64
    pieces = [mine.planes_at(i, min(i + step, key.width)) for i in range(0, key.width, step)]
    return [(_words(piece).reshape(-1), piece.width) for piece in pieces]


async def _walked(p: Aby3, columns: list[Column]) -> tuple[Array, list[Parts]]:
    """The first column, which are places, opened in a new order that nobody knows, and shares of the others in it."""
    await _walk(p, columns, _order_keys(p))
    opened, shares = await gather(_opened(p, columns.pop(0)), _shared(p, columns, 0))
    return opened, shares


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
    z = await _addends(p, low, count, width, shape[-1])
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


async def _addends(p: Aby3, low: Array, count: int, width: int, row: int) -> Array:
    """This party's addend of the place of every digit within its row. 2 rounds.

    A code takes 4 (count - 1) bytes an element and part, several times what is sorted, and several times that while it
    is made. Those of many elements are made in parts, and let go at once where rows are short.
    """
    n = low.size
    if n <= AT_ONCE:
        return _added(p, await _code(p, low, count, width), row)
    z: Array = ring.empty((n,), U32)
    step = PART // row * row if row <= PART else row

    async def piece(start: int) -> None:
        stop = min(start + step, n)
        if row <= PART:
            z[start:stop] = _added(p, await _code(p, low[start:stop], count, width), row)
        else:
            await _addends_of_row(p, low[start:stop], count, width, z[start:stop])

    await gather(*(piece(start) for start in range(0, n, step)), limit=_in_flight(n, step) if row <= PART else 1)
    return z


def _in_flight(n: int, part: int) -> int:
    """Parts at a time."""
    return WIDE if n <= WIDE * part else IN_FLIGHT


async def _addends_of_row(p: Aby3, low: Array, count: int, width: int, out: Array) -> None:
    """Those of one long row, in parts. What each part adds to the running sums is known when all codes are; until then
    what was drawn of them is let go, and then drawn again."""
    starts = range(0, low.size, PART)
    leads = np.array(_leads(p), np.uint32)

    async def piece(start: int) -> tuple[Parts, Array]:
        code = await _code(p, low[start : start + PART], count, width)
        sums = np.stack([np.sum(_array(part), axis=1, dtype=np.uint32) for part in code])
        last = leads * np.uint32(min(PART, low.size - start)) - np.sum(sums, axis=1, dtype=np.uint32)
        return code, np.concatenate([sums, last[:, None]], axis=1)

    made = await gather(*(piece(start) for start in starts), limit=_in_flight(low.size, PART))
    sums = np.stack([sums for _, sums in made])  # of parts, of this party's two parts of the code, of digits
    before = np.cumsum(sums, axis=0, dtype=np.uint32) - sums
    total = np.sum(sums, axis=0, dtype=np.uint32)
    begins = before + (np.cumsum(total, axis=1, dtype=np.uint32) - total)
    for start, (code, _), begin in zip(starts, made, begins, strict=True):
        part = out[start : start + PART]
        part[...] = _added(p, code, part.size, begin)


def _added(p: Aby3, code: Parts, row: int, begins: Array | None = None) -> Array:
    """The addends that a code gives, in rows; `begins`: what the sums of the only row begin with."""
    own, following = code
    addends: Array = mpc.code_places(_array(own), _array(following), _leads(p), row, begins)
    return addends


def _leads(p: Aby3) -> tuple[bool, bool]:
    """Which of this party's two parts of a code has the 1 that all of them add up to."""
    return p.party.rank == 0, p.party.rank == 2


async def _code(p: Aby3, low: Array, count: int, width: int) -> Parts:
    """[[u ^ v = t]] for all t < count - 1, this party's two parts, from u (party 0) or v (the others). 2 rounds."""
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


def _order_keys(p: Aby3) -> list[bytes | None]:
    """Of three fresh permutations, in the order of `FORTH`, each at the two who draw it."""
    drawers = [((out + 1) % 3, (out + 2) % 3) for out in FORTH]
    return [p.party.key(*pair) if p.party.rank in pair else None for pair in drawers]


async def _walk(p: Aby3, columns: list[Column], keys: Sequence[bytes | None], back: bool = False) -> None:
    """Permute the columns in place, by the three permutations of these keys, or back to where they were. They come
    between the two who know the first permutation, and end between the two who know the last. 2 rounds."""
    rank, n = p.party.rank, columns[0].spec.shape[0]
    outs, keys = (BACK, keys[::-1]) if back else (FORTH, keys)
    for out, leaves, key in zip(outs, (*outs[1:], None), keys, strict=True):
        if key is not None:
            order = prf.permutation(key, n)
            if back:
                order = _scattered(np.arange(n), order)
            for i, c in enumerate(columns):  # one after the other, so that only one is there twice
                columns[i] = c.of(_taken(c.mine, order))
            del order
        if leaves is None:
            break
        stays = 3 - out - leaves
        if rank == out:
            columns[:] = await _receive(p, leaves, columns)
            continue
        for i, c in enumerate(columns):
            mask = p.party.draw(c.spec.shape, c.spec.dtype, leaves, stays)
            if rank == leaves:
                columns[i] = c.of(None)
                _send(p, out, [c.of(c.plus(mask, out=mask))])
            else:
                columns[i] = c.of(c.minus(mask, out=mask))
            del c, mask


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
    for part in _pieces(opened):
        seen[part[part < opened.size]] = True
    if not seen.all():
        raise FrameError(
            "the places of a sort, opened, are not a permutation", todo="look for a party that is not well"
        )
    return opened


@dataclass(frozen=True)
class Drawn:
    """An array that can be drawn again: it takes no memory until it is used."""

    key: bytes = field(repr=False)
    spec: Spec


Parts = tuple[Array | Drawn, Array | Drawn]
"""This party's two parts of a share."""


async def _shared(p: Aby3, columns: list[Column], out: int) -> list[Parts]:
    """Fresh shares among all of columns between the two others than `out`. The list is used up. 1 round."""
    rank, specs = p.party.rank, [c.spec for c in columns]
    if rank == out:
        before, after = (rank + 2) % 3, (rank + 1) % 3
        return [(_drawn(p, spec, before), _drawn(p, spec, after)) for spec in specs]
    other, masks, hidden = 3 - out - rank, [], []
    while columns:
        c = columns.pop(0)
        masks.append(_drawn(p, c.spec, out))
        mask = _array(masks[-1])
        hidden.append(c.of(c.minus(mask, out=mask)))
        del c, mask
        _send(p, other, hidden[-1:])
    rests = []
    while hidden:
        c = hidden.pop(0)
        (theirs,) = await _receive(p, other, [c])
        rests.append(c.plus(theirs.mine))
    first = rank == (out + 1) % 3
    return [(mask, rest) if first else (rest, mask) for mask, rest in zip(masks, rests, strict=True)]


def _drawn(p: Aby3, spec: Spec, other: int) -> Drawn:
    return Drawn(p.party.key(other, p.party.rank), spec)


def _array(part: Array | Drawn) -> Array:
    return prf.fill(part.key, part.spec.shape, part.spec.dtype) if isinstance(part, Drawn) else part


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


def _forms(columns: Sequence[Column]) -> list[Column]:
    """The columns without what they hold, which is let go as it is used."""
    return [c.of(None) for c in columns]


def _words(part: Array | Bits) -> Array:
    if isinstance(part, Bits):
        return part.to_ring(next(dtype for bits, dtype in RINGS.items() if part.width <= bits))
    return np.ascontiguousarray(part)


def _value(column: Column, parts: Parts) -> Arith | Bool:
    """Shares of the kind that `column` came from."""
    if column.added:
        return Arith(tuple(map(_array, parts)))
    return Bool(tuple(Bits.from_ring(_array(part), column.width) for part in parts))


def _addend(p: Aby3, parts: Parts) -> Array:
    """x0 ^ x1 at party 0, x2 at the others."""
    own, following = parts
    if p.party.rank == 0:
        mixed: Array = ring.xor(_array(own), _array(following))
        return mixed
    return _array(following if p.party.rank == 1 else own)


def _column(p: Aby3, addend: Array, width: int) -> Column:
    """Words of which this party has an addend, between parties 2 and 0."""
    return Column(None if p.party.rank == 1 else addend, Spec(addend.shape, addend.dtype), width, False)


def _both_scattered(parts: Parts, places: Array) -> tuple[Array, Array]:
    own, following = parts
    return _scattered(_array(own), places), _scattered(_array(following), places)


def _taken(part: Array, order: Array) -> Array:
    """part[order] along the first axis. Of a permutation nothing is clipped, and NumPy makes no copy first."""
    moved: Array = ring.empty(part.shape, part.dtype)
    np.take(part, order, axis=0, out=moved, mode="clip")
    return moved


def _scattered(part: Array, places: Array) -> Array:
    """y[places[i]] = x[i]."""
    moved: Array = ring.empty(part.shape, part.dtype)
    for to, piece in zip(_pieces(places), _pieces(part), strict=True):
        moved[to] = piece
    return moved


def _pieces(rows: Array) -> Iterator[Array]:
    """Of so many rows that NumPy's copies of them stay small: it makes indices of 64 bits first."""
    return (rows[start : start + PIECE] for start in range(0, len(rows), PIECE))


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
        words = ring.empty(c.spec.shape, c.spec.dtype)
        packed = await p.party.recv(source, Spec((-(-words.size * c.width // 8),), U8))
        mpc.unpack(packed, c.width, words.reshape(-1))
        made.append(c.of(words))
    return made

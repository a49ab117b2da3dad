"""Sums of the parts of additive shares, as circuits on bits.

Each part is a word that its party knows: n words, each shared with zeros at the others, which costs nothing. Three
words become two with one product a bit (carry-save adders; Wallace, 1964) until two are left, u and v. Of these each
position generates a carry (G = u v) or passes one on (P = u ^ v), and ranges are joined two at a time,

    (G, P) of both = (Gh ^ Ph Gl, Ph Pl),

which takes one product with Ph for each of Gl and Pl, and Ph is opened once for both; the lowest range needs no P.

* `sign`      the carry into the top bit alone: a tree
* `total`     all carries: Sklansky's prefix tree (1960)
* `is_zero`   whether all bits are zero: a tree of products

Where there are two parties, u and v are known to one each, and G takes a product of private bits; or the leaves of
`sign` are digits of some bits, of which G and P come from a transfer of one of many (`Additive.digit`).

The functions of numbers below count what these do, for cost formulas: `all` messages of everybody to everybody, and a
dealer (`dealt`, 0 or 1) that sends a bit for every product.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from .bits import Bits
from .derived.leading import stack
from .protocol import Arith, Bool

if TYPE_CHECKING:
    from .additive import Additive


async def sign(p: Additive, x: Arith, width: int) -> Bool:
    """Bit width-1 of the sum of the parts."""
    u, v = await _two_words(p, x, width)
    top = p.xor(u, v).bits_at(width - 1, width)
    if width == 1:
        return top
    if p.digit > 1:
        generate, passes = await p._digits(p.addend(x, width - 1))
    else:
        generate, passes = await _leaves(p, x, u, v, width - 1)
    return p.xor(top, await _carry(p, generate, passes))


async def total(p: Additive, x: Arith, width: int) -> Bool:
    """The low `width` bits of the sum of the parts."""
    u, v = await _two_words(p, x, width)
    if width <= 1:
        return p.xor(u, v)
    generate, passes = await _leaves(p, x, u, v, width - 1)
    carries = await _carries(p, generate, passes)
    return p.xor(p.xor(u, v), stack([_nothing(carries, 1), carries]))


async def is_zero(p: Additive, x: Arith, width: int) -> Bool:
    """Whether the low `width` bits of the sum of the parts are zero."""
    if p.n == 2:
        # x0 = -x1: no bit of the two differs.
        own = p.addend(x if p.party.rank == 0 else p.neg(x), width)
        same = p.not_(Bool((own if p.computes else Bits.zeros(x.shape, width),)))
    else:
        # u + v = 0 where u + v + (2^w - 1) is all ones, and of the two words that these three become, s = ~(u ^ v) and
        # c = 2 (u | v), no carry can come if s ^ c is.
        u, v = await _two_words(p, x, width)
        either = p.xor(u, v)
        if width > 1:
            low, also = u.bits_at(0, width - 1), v.bits_at(0, width - 1)
            any_ = p.xor(p.xor(low, also), await p.and_(low, also))
            either = p.xor(either, stack([_nothing(any_, 1), any_]))
        same = p.not_(either)
    while same.width > 1:
        half = same.width // 2
        joined = await p.and_(same.bits_at(0, half), same.bits_at(half, 2 * half))
        same = joined if same.width % 2 == 0 else stack([joined, same.bits_at(2 * half, same.width)])
    return same


# ---- the words --------------------------------------------------------------------------------------------------


async def _two_words(p: Additive, x: Arith, width: int) -> tuple[Bool, Bool]:
    """Two words whose sum mod 2^width is that of the parts."""
    own, nothing = p.addend(x, width), Bits.zeros(x.shape, width)
    words = [Bool((own if p.party.rank == rank else nothing,)) for rank in range(p.n)]
    while len(words) > 2:
        groups = [words[i : i + 3] for i in range(0, len(words) - 2, 3)]
        sums = [p.xor(p.xor(a, b), c) for a, b, c in groups]
        carries = [_nothing(own_word, width) for own_word in sums]
        if width > 1:
            # The carry of three bits: (a ^ b)(a ^ c) ^ a; that of the top bit is lost.
            low = width - 1
            left = stack([p.xor(a, b).bits_at(0, low) for a, b, _ in groups])
            right = stack([p.xor(a, c).bits_at(0, low) for a, _, c in groups])
            products = await p.and_(left, right)
            for i, (a, *_) in enumerate(groups):
                carry = p.xor(products.bits_at(i * low, (i + 1) * low), a.bits_at(0, low))
                carries[i] = stack([_nothing(carry, 1), carry])
        words = [*sums, *carries, *words[3 * len(groups) :]]
    return words[0], words[1]


async def _leaves(p: Additive, x: Arith, u: Bool, v: Bool, positions: int) -> tuple[Bool, Bool]:
    """G of every position and P of all but the lowest."""
    low, also = u.bits_at(0, positions), v.bits_at(0, positions)
    passes = p.xor(low, also).bits_at(1, positions)
    if p.n == 2:
        return await p._private_and(p.addend(x, positions)), passes
    return await p.and_(low, also), passes


# ---- carries ----------------------------------------------------------------------------------------------------


async def _carry(p: Additive, generate: Bool, passes: Bool) -> Bool:
    """The carry out of the highest position. P has no plane for the lowest range."""
    while generate.width > 1:
        pairs, odd = divmod(generate.width, 2)
        low, high = _rows(generate, slice(0, 2 * pairs, 2)), _rows(generate, slice(1, 2 * pairs, 2))
        high_passes = _rows(passes, slice(0, 2 * pairs - 1, 2))
        low_passes = _rows(passes, slice(1, 2 * pairs - 1, 2))
        carried, passed = await _meet(p, high_passes, low, low_passes)
        generate, above = p.xor(high, carried), _rows(generate, slice(2 * pairs, None))
        if odd:
            generate = stack([generate, above])
            passed = stack([passed, _rows(passes, slice(2 * pairs - 1, None))])
        passes = passed
    return generate


async def _carries(p: Additive, generate: Bool, passes: Bool) -> Bool:
    """The carry out of every position."""
    span = 1
    while span < generate.width:
        high, low = _level(generate.width, span)
        inner = high >= 2 * span  # the others are in ranges that begin at 0, which are passed nothing
        above, below = high[inner] - 1, low[inner] - 1
        carried, passed = await _meet(p, _rows(passes, high - 1), _rows(generate, low), _rows(passes, below))
        generate = _changed(generate, high, carried)
        passes = _changed(passes, above, p.xor(passed, _rows(passes, above)))
        span *= 2
    return generate


async def _meet(p: Additive, high: Bool, generate: Bool, passes: Bool) -> tuple[Bool, Bool]:
    """(P G, P P) of the ranges above with those below."""
    if passes.width == 0:
        return (await p.ands(high, [generate]))[0], passes
    carried, passed = await p.ands(high, [generate, passes])
    return carried, passed


@cache
def _level(positions: int, span: int) -> tuple[np.ndarray, np.ndarray]:
    """The positions in the upper halves of blocks of 2 span, and for each the last one of its lower half."""
    every = np.arange(positions)
    high = every[every // span % 2 == 1]
    return high, high // span * span - 1


def _rows(word: Bool, index: slice | np.ndarray) -> Bool:
    """Some bits of every word."""
    return word.map(lambda part: Bits(np.ascontiguousarray(part.planes[index]), part.shape))


def _changed(word: Bool, index: np.ndarray, by: Bool) -> Bool:
    """Words with some of their bits xored."""
    planes = [part.planes.copy() for part in word.parts]
    for own, change in zip(planes, by.parts, strict=True):
        own[index] ^= change.planes
    return Bool(tuple(Bits(own, word.shape) for own in planes))


def _nothing(like: Bool, width: int) -> Bool:
    return Bool((Bits.zeros(like.shape, width),))


# ---- costs ------------------------------------------------------------------------------------------------------


def _csa(m: int) -> tuple[int, int]:
    """(layers, adders) that make two words of m."""
    layers = adders = 0
    while m > 2:
        layers, adders, m = layers + 1, adders + m // 3, m - m // 3
    return layers, adders


def tree(positions: int) -> tuple[int, int, int]:
    """(levels, bits opened, products) of `_carry`, for formulas."""
    levels = opened = products = 0
    while positions > 1:
        pairs = positions // 2
        levels, opened, products = levels + 1, opened + 3 * pairs - 1, products + 2 * pairs - 1
        positions -= pairs
    return levels, opened, products


def _prefix(positions: int) -> tuple[int, int, int]:
    """(levels, bits opened, products) of `_carries`."""
    levels = opened = products = 0
    span = 1
    while span < positions:
        high, _ = _level(positions, span)
        joined, both = len(high), int((high >= 2 * span).sum())
        levels, opened, products = levels + 1, opened + 2 * joined + both, products + joined + both
        span *= 2
    return levels, opened, products


def _two_words_bits(w: int, m: int, all_: int, dealt: int) -> int:
    return _csa(m)[1] * (w - 1) * (2 * all_ + dealt)


def _leaves_bits(positions: int, m: int, all_: int, dealt: int) -> int:
    return positions * ((2 if m == 2 else 2 * all_) + dealt)


def top_rounds(bound: int, m: int) -> int:
    """Of `sign`."""
    return _csa(m)[0] * (bound > 1) + (bound > 1) + tree(bound - 1)[0]


def top_bits(bound: int, m: int, all_: int, dealt: int) -> int:
    """Of `sign`."""
    _, opened, products = tree(bound - 1)
    ends = _two_words_bits(bound, m, all_, dealt) + _leaves_bits(bound - 1, m, all_, dealt)
    return ends + opened * all_ + products * dealt


def word_rounds(w: int, m: int) -> int:
    """Of `total`."""
    return _csa(m)[0] * (w > 1) + (w > 1) + _prefix(w - 1)[0]


def word_bits(w: int, m: int, all_: int, dealt: int) -> int:
    """Of `total`."""
    _, opened, products = _prefix(w - 1)
    ends = _two_words_bits(w, m, all_, dealt) + _leaves_bits(w - 1, m, all_, dealt)
    return ends + opened * all_ + products * dealt


def zero_rounds(bound: int, m: int) -> int:
    """Of `is_zero`."""
    return (_csa(m)[0] + 1) * (bound > 1) * (m > 2) + (bound - 1).bit_length()


def zero_bits(bound: int, m: int, all_: int, dealt: int) -> int:
    """Of `is_zero`."""
    products = bound - 1 + (bound - 1) * (m > 2)
    return _two_words_bits(bound, m, all_, dealt) + products * (2 * all_ + dealt)


# ---- how many products ------------------------------------------------------------------------------------------


def leaf_count(w: int, m: int) -> int:
    """Products of private bits in `sign` and `total`."""
    return max(w - 1, 0) if m == 2 else 0


def _other_products(w: int, m: int) -> int:
    """Of the words, and of the leaves where no party has either of them."""
    return (_csa(m)[1] + (m > 2)) * (w - 1)


def top_joins(w: int, m: int) -> int:
    """Bits that `sign` multiplies by one or two others: its calls of `ands`, bit by bit."""
    return _other_products(w, m) + max(w - 2, 0)


def word_joins(w: int, m: int) -> int:
    """As `top_joins`, of `total`."""
    found, span = _other_products(w, m), 1
    while span < w - 1:
        found += len(_level(w - 1, span)[0])
        span *= 2
    return found


def zero_joins(w: int, m: int) -> int:
    """As `top_joins`, of `is_zero`."""
    return _other_products(w, m) + w - 1

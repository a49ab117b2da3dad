"""Shared words: moved by secret distances, their ones counted."""

from __future__ import annotations

import functools
from collections import defaultdict

from ...runtime import cost, gather
from ..protocol import Bool, Protocol
from .leading import repeat, stack


def distances(w: int) -> int:
    """Bits of a distance within a word of w."""
    return (w - 1).bit_length()


@cost(
    rounds="max(distances(w), log2(v - distances(w))) * and_(w=1) + and_(w=1) if v > distances(w) else v * and_(w=1)",
    bits="min(v, distances(w)) * and_(w=w)"
    " + (and_(w=v - distances(w) - 1) + and_(w=w) if v > distances(w) else 0 * and_(w=1))",
)
async def shifted(p: Protocol, word: Bool, distance: Bool, left: bool, fill: Bool | None = None) -> Bool:
    """`word` moved by a secret `distance` (of v bits, without a sign) towards its high end or its low one.

    A barrel shifter: for each bit of the distance the word is moved by 2^j, or not. `fill`, one bit, comes in at the
    high end (None: zeros); a distance of the word's width or more leaves nothing else.
    """
    width, stages = word.width, distances(word.width)
    filled = repeat(fill, width) if fill is not None else None

    def moved(word: Bool, count: int) -> Bool:
        if left:
            return p.shift_left(word, count)
        if fill is None:
            return p.shift_right(word, count)
        return stack([word.bits_at(count, width), repeat(fill, count)])

    async def barrel() -> Bool:
        at = word
        for j in range(min(stages, distance.width)):
            change = p.xor(at, moved(at, 1 << j))
            at = p.xor(at, await p.and_(repeat(distance.bits_at(j, j + 1), width), change))
        return at

    if distance.width <= stages:
        return await barrel()
    near, far = await gather(barrel(), _any(p, distance.bits_at(stages, distance.width)))
    rest = near if filled is None else p.xor(near, filled)
    kept = await p.and_(repeat(p.not_(far), width), rest)
    return kept if filled is None else p.xor(kept, filled)


async def _any(p: Protocol, word: Bool) -> Bool:
    """Whether a word has a one."""
    while word.width > 1:
        half = word.width // 2
        joined = await p.or_(word.bits_at(0, half), word.bits_at(half, 2 * half))
        word = joined if word.width % 2 == 0 else stack([joined, word.bits_at(2 * half, word.width)])
    return word


Layer = tuple[tuple[tuple[int, ...], int, int], ...]
"""Adders side by side: the two or three bits that each adds, where their sum goes, where their carry goes."""


@functools.cache
def adders(w: int) -> tuple[tuple[Layer, ...], tuple[int, ...]]:
    """Layers of adders that count w bits, and where the bits of the count are then: bits 0 to w-1 are those of the
    word, each adder appends two. Three bits of one weight become one of it and one of twice the weight (Wallace, 1964);
    two only where no third will come.
    """
    columns: dict[int, list[int]] = defaultdict(list)
    columns[0] = list(range(w))
    layers, count = [], w
    while any(len(bits) > 1 for bits in columns.values()):
        layer: list[tuple[tuple[int, ...], int, int]] = []
        after: dict[int, list[int]] = defaultdict(list)
        settled = True  # nothing of a lower weight is still to come
        for weight in sorted(columns):
            bits = columns[weight]
            while len(bits) >= 3 or (len(bits) == 2 and settled):
                taken, bits = tuple(bits[:3]), bits[3:]
                layer.append((taken, count, count + 1))
                after[weight].append(count)
                after[weight + 1].append(count + 1)
                count += 2
            after[weight] += bits
            settled = settled and len(columns[weight]) <= 1
        columns = after
        layers.append(tuple(layer))
    places = [columns[weight][0] for weight in sorted(columns) if columns[weight]]
    return tuple(layers), tuple(places[: w.bit_length()])  # a carry out of the highest is never 1


def count_layers(w: int) -> int:
    """Rounds of adders that count w bits."""
    return len(adders(w)[0])


def count_products(w: int) -> int:
    """Products of bits in them, one each."""
    return sum(map(len, adders(w)[0]))


@cost(rounds="count_layers(w) * and_(w=1)", bits="and_(w=count_products(w))")
async def ones(p: Protocol, word: Bool) -> Bool:
    """How many ones a word has, as a word of floor(log2 w) + 1 bits."""
    layers, places = adders(word.width)
    bits = [word.bits_at(i, i + 1) for i in range(word.width)]
    for layer in layers:
        first, second, rest = [], [], []
        for taken, *_ in layer:
            a, b = bits[taken[0]], bits[taken[1]]
            c = bits[taken[2]] if len(taken) == 3 else None
            first.append(p.xor(a, b))
            second.append(p.xor(b, c) if c is not None else b)
            rest.append((b, c))
        # The carry of three: (a ^ b)(b ^ c) ^ b. Of two: (a ^ b) b = ab ^ b, so ab is that ^ b as well.
        products = await p.and_(stack(first), stack(second))
        for i, (b, c) in enumerate(rest):
            total = first[i] if c is None else p.xor(first[i], c)
            bits += [total, p.xor(products.bits_at(i, i + 1), b)]
    return stack([bits[i] for i in places])

"""Secret permutations and sorts against NumPy; what is opened on the way says nothing of the words."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot.errors import FrameError
from argot.mpc import aby3_order
from argot.mpc.aby3 import Aby3
from argot.mpc.bits import Bits
from argot.mpc.protocol import Bool, index_bits, row_starts
from argot.runtime.world import World


def words_for(width: int, shape: tuple[int, ...], distinct: int, seed: int) -> np.ndarray:
    """Words of so many bits, with many equal ones if `distinct` is small."""
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 2**width, distinct, dtype=np.uint64, endpoint=False) if width < 64 else None
    if pool is None:
        pool = rng.integers(0, 2**64 - 1, distinct, dtype=np.uint64, endpoint=True)
    return rng.choice(pool, shape)


async def shared_words(p, words, width, owner=0):
    bits = Bits.from_ring(words, width) if p.party.rank == owner else None
    return await p.share_bits(bits, owner, words.shape, width)


SHAPES = [(1,), (2,), (64,), (300,), (3, 40), (2, 3, 5)]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 64), st.sampled_from(SHAPES), st.sampled_from([1, 3, 1000]))
def test_the_order_is_that_of_a_stable_sort(width, shape, distinct):
    words = words_for(width, shape, distinct, width)

    async def program(p):
        found = await p.order(await shared_words(p, words, width))
        return await p.reveal_bits_to(found, [0])

    found = World(Aby3, seed=3).run(program)[0].to_ring(np.uint64).astype(np.int64)
    rows = np.arange(words.size).reshape(shape)[..., :1]
    np.testing.assert_array_equal(found, np.argsort(words, axis=-1, kind="stable") + rows)


@pytest.mark.parametrize("shape", [(1000,), (10, 100), (50, 20)])
def test_a_large_order_is_made_in_parts(monkeypatch, shape):
    """The same order, by messages of as many bits: of rows shorter than a part, and of longer ones."""
    words = words_for(20, shape, 300, 1)

    async def program(p):
        return await p.reveal_bits_to(await p.order(await shared_words(p, words, 20)), [0])

    bits = []
    for most in (aby3_order.AT_ONCE, 64):
        monkeypatch.setattr(aby3_order, "AT_ONCE", most)
        monkeypatch.setattr(aby3_order, "PART", 64)
        world = World(Aby3, seed=3)
        found = world.run(program)[0].to_ring(np.uint64).astype(np.int64)
        np.testing.assert_array_equal(found, np.argsort(words, kind="stable") + row_starts(shape))
        bits.append(world.bits)
    assert bits[0] == bits[1]


@pytest.mark.parametrize("k", [32, 64, 128])
@pytest.mark.parametrize("shape", [(1,), (70,), (70, 3)])
def test_values_follow(k, shape):
    """Numbers and words of any shape behind the first axis."""
    rng = np.random.default_rng(k)
    n = shape[0]
    rho = rng.permutation(n)
    width = index_bits(n)

    async def program(p):
        x = await p.share(p.encode(values) if p.party.rank == 1 else None, 1, shape)
        b = await shared_words(p, flags, 5, owner=2)
        order = await shared_words(p, rho.astype(np.uint64), width)
        results = await p.take([x, b], order), await p.place([x, b], order), await p.shuffle([x, b])
        return [(await p.reveal_to(numbers, [2]), await p.reveal_bits_to(bits, [2])) for numbers, bits in results]

    values = rng.integers(-50, 50, shape).astype(float)
    flags = rng.integers(0, 32, shape).astype(np.uint64)
    world = World(lambda party: Aby3(party, ring=k, fraction_bits=8), seed=4)
    taken, placed, mixed = [
        (world.protocols[0].decode(numbers), bits.to_ring(np.uint64)) for numbers, bits in world.run(program)[2]
    ]
    for found, clear in zip(taken, (values, flags), strict=True):
        np.testing.assert_array_equal(found, clear[rho])
    for found, clear in zip(placed, (values, flags), strict=True):
        np.testing.assert_array_equal(found[rho], clear)
    rows = [np.column_stack([numbers, bits]).tolist() for numbers, bits in (mixed, (values, flags))]
    assert sorted(rows[0]) == sorted(rows[1])


def test_every_shuffle_is_equally_likely():
    async def program(p):
        x = await p.share(np.arange(3, dtype=np.uint64) if p.party.rank == 0 else None, 0, (3,))
        return await p.reveal_to((await p.shuffle([x]))[0], [0])

    counts = Counter(tuple(World(Aby3, seed=seed).run(program)[0].tolist()) for seed in range(600))
    assert set(counts) == set(permutations(range(3)))
    # 100 expected each, standard deviation 9.1: chi-square with 5 degrees of freedom.
    assert sum((c - 100) ** 2 / 100 for c in counts.values()) < 30


@pytest.mark.parametrize("words", [[5, 5, 5], [0, 1, 2], [2, 1, 0]])
def test_what_a_sort_opens_is_uniform_whatever_the_words_are(words, monkeypatch):
    """Also for equal words: an order by comparisons alone would show which are equal."""
    seen: list[tuple[int, ...]] = []
    opened = aby3_order._opened

    async def listening(p, column):
        found = await opened(p, column)
        if p.party.rank == 0:
            seen.append(tuple(found.tolist()))
        return found

    monkeypatch.setattr(aby3_order, "_opened", listening)

    async def program(p):
        await p.order(await shared_words(p, np.array(words, np.uint64), 6))

    for seed in range(600):
        World(Aby3, seed=seed).run(program)
    for digit in (0, 1):
        counts = Counter(seen[digit::2])
        assert set(counts) == set(permutations(range(3)))
        assert sum((c - 100) ** 2 / 100 for c in counts.values()) < 30


def test_places_that_are_no_permutation_are_refused():
    async def program(p):
        places: Bool = await shared_words(p, np.array([1, 1, 0], np.uint64), 2)
        x = await p.share(np.arange(3, dtype=np.uint64) if p.party.rank == 0 else None, 0, (3,))
        await p.place([x], places)

    with pytest.raises(FrameError, match="permutation"):
        World(Aby3, seed=1).run(program)

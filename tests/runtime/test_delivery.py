"""Randomised delivery changes neither results nor traffic: windows, machines, networks, order of submission."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime_toy import Toy, words

from argot.runtime import gather, join, spawn
from argot.runtime.world import Delivery, World

WINDOWS = (1, 2, 8)
DELIVERIES = (
    Delivery(),
    Delivery(delay=200, split=1.0, speeds=(0.05, 1.0, 0.3), flush_bytes=(1, 500, 1 << 20), workers=(4, 1, 1)),
    Delivery(delay=1, split=0.0, speeds=(1.0, 1.0, 1.0), compute_ns=(0, None, None)),
)


async def equations(p, x, window):
    """Eight equations with shared inputs, each started when there is room and waiting for what it needs."""
    first = await p.share(x, 0, (5,))

    async def equation(i, left, right):
        a = first if left is None else await join(left)
        b = first if right is None else await join(right)
        if i % 3 == 0:
            return await p.product([a, b, a])
        scaled = await p.party.compute(lambda: (a[0] * np.uint64(3), a[1] * np.uint64(3)), cost_ns=50_000 * i)
        return await p.mul(scaled, b)

    tasks = []
    for i in range(8):
        left, right = (tasks[i // 2] if i > 1 else None), (tasks[i - 3] if i > 3 else None)
        tasks.append(await spawn(equation(i, left, right), limit=window))
    return await gather(*[p.reveal(await join(task)) for task in tasks[4:]])


async def loop(p, x, window):
    share = await p.share(x, 1, (3,))

    async def body(share):
        squared, cubed = await gather(p.mul(share, share), p.product([share] * 3), limit=window)
        return await p.mul(squared, cubed)

    for _ in range(4):
        share = await join(await spawn(body(share)))
    return await p.reveal(share)


async def wide(p, x, window):
    share = await p.share(x, 2, (7,))
    products = await gather(*(p.product([share] * m) for m in range(1, 7)), limit=window)
    return await gather(*(p.reveal(y) for y in products), limit=window)


async def nothing(p, x, window):
    return None


PROGRAMS = ((equations, 0, 5), (loop, 1, 3), (wide, 2, 7), (nothing, 0, 1))


def jobs(window):
    def program(fn, owner, size, rank):
        x = words(size, seed=size) if rank == owner else None
        return lambda p: fn(p, x, window)

    return [[program(*job, rank) for rank in range(3)] for job in PROGRAMS]


def outcome(world: World, window: int, orders=None):
    results = world.run_all(jobs(window), orders)
    return [[np.asarray(r).tolist() for r in run] for run in results], world.traffic, world.bits


@pytest.fixture(scope="module")
def in_lock_step():
    return outcome(World(Toy, seed=1), 8)


def test_lock_step_is_right(in_lock_step):
    results = in_lock_step[0]
    x = words(7, seed=7)
    expected = [(x**m).tolist() for m in range(1, 7)]
    assert results[2] == [expected] * 3
    assert results[1] == [(words(3, seed=3) ** (5**4)).tolist()] * 3


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 100))])
def test_results_and_traffic_are_those_of_lock_step(in_lock_step, window, delivery, seed):
    world = World(Toy, seed=1, delivery=delivery)
    world.random.seed(seed)
    orders = [world.random.sample(range(4), 4) for _ in range(3)]
    assert outcome(world, window, orders) == in_lock_step


def test_parties_may_have_different_windows(in_lock_step):
    """Names do not depend on the window. (Agents still agree on one, so that none waits for work that another has not
    admitted.)"""
    programs = [[jobs(window)[i][rank] for rank, window in enumerate(WINDOWS)] for i in (1, 2)]
    world = World(Toy, seed=1, delivery=Delivery())
    results = world.run_all(programs)
    assert [[np.asarray(r).tolist() for r in run] for run in results] == in_lock_step[0][1:3]


@pytest.mark.parametrize("window", [None, 1, 2, 3, 8])
def test_rounds_are_the_longest_chain_in_any_delivery(window):
    async def program(p, x):
        return await loop(p, x, window)

    def rounds(delivery):
        world = World(Toy, seed=1, delivery=delivery)
        world.run(program, [None, words(3), None])
        return world.rounds

    (found,) = {rounds(delivery) for delivery in (None, *DELIVERIES)}
    assert found == 1 + 4 * 3 + 1 if window is None else found > 1 + 4 * 3 + 1 or window > 1


def test_a_window_bounds_what_is_alive(in_lock_step):
    """Rounds grow as windows shrink, traffic does not."""
    rounds = Counter()
    for window in WINDOWS:
        world = World(Toy, seed=1)
        assert outcome(world, window)[1:] == in_lock_step[1:]
        rounds[window] = world.rounds
    assert rounds[1] >= rounds[2] >= rounds[8] < rounds[1]


# A program is a tree: a leaf squares the share so many times, a node runs its parts side by side or after one another
# and multiplies their results.
trees = st.recursive(
    st.integers(0, 2),
    lambda parts: st.tuples(st.sampled_from(["gather", "spawn", "sequence"]), st.lists(parts, min_size=1, max_size=4)),
    max_leaves=12,
)


async def grown(p, tree, share, window):
    if isinstance(tree, int):
        for _ in range(tree):
            share = await p.mul(share, share)
        return share
    kind, parts = tree
    if kind == "gather":
        results = await gather(*(grown(p, part, share, window) for part in parts), limit=window)
    elif kind == "spawn":
        tasks = [await spawn(grown(p, part, share, window), limit=window) for part in parts]
        results = [await join(task) for task in reversed(tasks)]
    else:
        results = [await grown(p, part, share, window) for part in parts]
    return await p.product(results)


def power(tree):
    """The exponent that a tree computes."""
    return 2**tree if isinstance(tree, int) else sum(power(part) for part in tree[1])


@settings(max_examples=40, deadline=None)
@given(trees, st.integers(0, 2**16), st.sampled_from(WINDOWS), st.sampled_from(DELIVERIES))
def test_any_program_in_any_delivery(tree, seed, window, delivery):
    async def program(p, x):
        return await p.reveal(await grown(p, tree, await p.share(x, 0, (2,)), window))

    inputs = [words(2), None, None]
    calm, wild = World(Toy, seed=seed), World(Toy, seed=seed, delivery=delivery)
    results = [[r.tolist() for r in world.run(program, inputs)] for world in (calm, wild)]
    assert results[0] == results[1] == [(words(2) ** np.uint64(power(tree))).tolist()] * 3
    assert calm.traffic == wild.traffic

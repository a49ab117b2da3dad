"""Scheduling and naming, without messages."""

from __future__ import annotations

import pytest
from runtime_toy import Toy, words

from argot.errors import ProgramError
from argot.runtime import Party, gather, join, spawn
from argot.runtime.scheduler import readable
from argot.runtime.world import World


def alone(fn, **options) -> Party:
    """A party without peers that has run `fn(party)` as far as it goes."""
    party = Party(0, 1, {frozenset({0}): bytes(32)}, bytes(32), **options)
    party.start(fn(party))
    party.advance()
    return party


def test_gather_keeps_the_order_of_its_arguments():
    async def value(i):
        return i

    async def main(party):
        return await gather(*(value(i) for i in range(5))), await gather()

    assert alone(main).result() == ([0, 1, 2, 3, 4], [])


@pytest.mark.parametrize("limit", [1, 2, 8])
def test_a_window_is_never_exceeded_and_does_not_change_names(limit):
    alive, most, paths = 0, 0, []

    async def pause():
        return None

    async def child(party, i):
        nonlocal alive, most
        alive += 1
        most = max(most, alive)
        paths.append(party.task.path)
        await gather(pause(), pause())
        alive -= 1
        return i

    async def by_gather(party):
        return await gather(*(child(party, i) for i in range(10)), limit=limit)

    async def by_spawn(party):
        tasks = [await spawn(child(party, i), limit=limit) for i in range(10)]
        return [await join(task) for task in tasks]

    for program in (by_gather, by_spawn):
        most, paths[:] = 0, []
        assert alone(program).result() == list(range(10))
        assert 1 <= most <= limit and (program is by_spawn or most == limit)
        assert [readable(path) for path in sorted(paths)] == [f"root/{i}" for i in range(10)]


def test_several_join_one_task_before_and_after_it_ends():
    async def seven():
        return 7

    async def waits(task):
        return await join(task)

    async def main(party):
        task = await spawn(seven())
        both = await gather(waits(task), waits(task))
        return [*both, await join(task)]

    assert alone(main).result() == [7, 7, 7]


def test_a_gather_beside_spawned_children_counts_only_its_own():
    async def main(party):
        task = await spawn(leaf(1))
        both = await gather(leaf(2), leaf(3))
        return [await join(task), *both]

    async def leaf(i):
        return i

    assert alone(main).result() == [1, 2, 3]


def test_an_error_in_any_task_ends_the_run_and_runs_finally():
    ended = []

    async def forever(party):
        try:
            await party.recv(1, bytes)
        finally:
            ended.append(True)

    async def fails():
        raise ValueError("no")

    async def main(party):
        await gather(forever(party), fails(), forever(party), limit=2)

    party = Party(0, 2, {}, bytes(32))
    party.start(main(party))
    party.advance()
    assert party.finished and ended == [True]
    with pytest.raises(ValueError, match="no"):
        party.result()


def test_paths_tell_places_apart():
    assert readable(b"") == "root"
    paths = []

    async def node(party, depth):
        paths.append(party.task.path)
        if depth:
            await gather(node(party, depth - 1), node(party, depth - 1))
            await gather(node(party, depth - 1))

    party = alone(lambda party: node(party, 3))
    party.result()
    assert len(paths) == len(set(paths)) == 1 + 3 + 9 + 27
    assert all(not b.startswith(a + b"\x02") for a in paths for b in paths)


def test_a_result_before_the_end_is_refused():
    async def main(party):
        await party.recv(1, bytes)

    party = Party(0, 2, {}, bytes(32))
    party.start(main(party))
    party.advance()
    assert party.waits() == [(1, "message 0 of root")]
    with pytest.raises(ProgramError, match="has not finished"):
        party.result()
    party.close()


def test_independent_chains_share_rounds():
    async def chain(p, x, length):
        for _ in range(length):
            x = await p.mul(x, x)

    async def program(p, chains):
        x = await p.share(words(1) if p.party.rank == 0 else None, 0, (1,))
        await gather(*(chain(p, x, 10) for _ in range(chains)))

    world = World(Toy)
    world.run(program, chains=1)
    packets = world.packets
    world.run(program, chains=20)
    assert world.packets == packets and world.rounds == 11

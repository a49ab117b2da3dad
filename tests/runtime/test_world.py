"""The test world notices what must not happen."""

from __future__ import annotations

import pytest
from runtime_toy import Toy, words

from argot.errors import Deadlock, FrameError, ProgramError, ProgramMismatch
from argot.runtime import gather
from argot.runtime.world import World, corrupt, drop, replay, truncate


async def squares(p, x):
    share = await p.share(x, 0, (4,))
    for _ in range(3):
        share = await p.mul(share, share)
    return await p.reveal(share)


def test_a_program_and_what_it_costs():
    world = World(Toy, seed=3)
    x = words(4)
    results = world.run(squares, [x, None, None])
    assert all((result == x**8).all() for result in results)
    assert (world.rounds, world.messages, world.packets) == (5, 14, 11)  # some share a packet
    assert world.bits == 14 * 4 * 64
    assert {path for _, _, path in world.traffic} == {"root"}
    rows = {row["path"]: row for row in world.record.rows()}
    assert rows["mul"]["calls"] == 3 and rows["mul"]["rounds"] == 3 and rows["mul"]["bytes"] == 9 * 32


def test_runs_repeat_by_seed_and_masks_do_not():
    seen = []

    def watch(sender, receiver, packet):
        seen.append(packet[32:])
        return [packet]

    def transcript(world, x):
        seen.clear()
        world.run(squares, [x, None, None])
        return list(seen)

    one, two = World(Toy, seed=3, intercept=watch), World(Toy, seed=3, intercept=watch)
    first = transcript(one, words(4))
    assert first == transcript(two, words(4))
    assert not set(first[:11]) & set(transcript(one, words(4)))  # the last three open the result
    assert first != transcript(World(Toy, seed=4, intercept=watch), words(4))


@pytest.mark.parametrize(
    ("intercept", "error", "says"),
    [
        (drop(1, sender=1, receiver=0), Deadlock, "party 0 waits for message 1 of root from party 1, which was lost"),
        (replay(1), FrameError, "party 0 sent message 0 of root twice"),
        (truncate(0, keep=50), FrameError, "ends within a message"),
        (truncate(0, keep=5), FrameError, "ends within a header"),
        (corrupt(3, at=0), Deadlock, "waits for message"),
        (corrupt(3, at=24), FrameError, "ends within a message"),
    ],
)
def test_damaged_packets_have_names(intercept, error, says):
    with pytest.raises(error, match=says):
        World(Toy, intercept=intercept).run(squares, [words(4), None, None])


def test_a_receive_that_nobody_sends():
    async def program(p):
        if p.party.rank == 0:
            await p.party.recv(1, bytes)

    with pytest.raises(Deadlock, match="party 0 waits for message 0 of root from party 1, which nobody sent"):
        World(Toy).run(program)


def test_parties_that_spawn_differently():
    async def send(p):
        p.party.send(1, b"x")

    async def receive(p):
        await p.party.recv(0, bytes)

    async def nothing():
        pass

    async def misplaced(p):
        if p.party.rank == 0:
            await gather(nothing(), send(p))
        if p.party.rank == 1:
            await gather(receive(p), nothing())

    async def unreceived(p):
        if p.party.rank == 0:
            await gather(nothing(), send(p))

    with pytest.raises(Deadlock, match="message 0 of root/0"):
        World(Toy).run(misplaced)
    with pytest.raises(ProgramMismatch, match="party 0 sent message 0 of root/1, which party 1 never received"):
        World(Toy).run(unreceived)


def test_a_draw_that_only_one_makes():
    async def program(p):
        if p.party.rank == 0:
            p.party.key(0, 1)

    with pytest.raises(ProgramMismatch, match=r"party 0 drew a key with \[0, 1\] in root, party 1 did not"):
        World(Toy).run(program)


def test_an_error_at_one_party_is_raised():
    async def program(p):
        if p.party.rank == 1:
            raise ValueError("mine")
        await p.party.recv(1, bytes)

    with pytest.raises(ValueError, match="mine"):
        World(Toy).run(program)


def test_arguments_must_be_one_per_party():
    with pytest.raises(ProgramError, match="2 arguments for 3 parties"):
        World(Toy).run(squares, [None, None])

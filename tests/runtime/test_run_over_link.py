"""Sessions over the real link: TLS on loopback, three agents in this process."""

from __future__ import annotations

import time
from concurrent.futures import Future

import numpy as np
import pytest
from runtime_toy import Toy, words
from test_run_session import DEVICE, NAMES, at_once, run, squares

from argot._core import link
from argot.errors import PartyLost, PeerRejected
from argot.keys import Identity
from argot.runtime.kept import Keepsake
from argot.runtime.session import Session, agree_keys
from argot.runtime.world import World


def connected(**limits):
    """Three links that know each other."""
    identities = {name: Identity.generate(name) for name in NAMES}
    links = [
        link.Link(name, identity.certificate, identity.key, "127.0.0.1:0", **limits)
        for name, identity in identities.items()
    ]
    for one in links:
        for other in links:
            if one is not other:
                one.add_peer(other.name, identities[other.name].spki_sha256, other.address)
    return links


@pytest.fixture
def agents(request):
    links = connected(lost_after=1.0, **getattr(request, "param", {}))
    keys = at_once(*(lambda one=one: agree_keys(one, one.name, NAMES, DEVICE, timeout=20) for one in links))
    made = [Session(one, one.name, NAMES, DEVICE, k, debug=True) for one, k in zip(links, keys, strict=True)]
    yield made
    for session in made:
        session.close()
        session.link.close()


def test_a_run_is_what_the_world_says(agents):
    world = World(Toy)
    expected = world.run(squares)
    outcome = run(agents, squares)
    assert all((result == reference).all() for (result, _), reference in zip(outcome, expected, strict=True))
    assert sum(meter.sent_bytes for _, meter in outcome) * 8 == world.bits
    assert max(meter.rounds for _, meter in outcome) == world.rounds


class Asked(Keepsake):
    """Answers a question of 100 bytes with 1,000."""

    def __init__(self, channel):
        self.channel, self.answered = channel, Future()

    def handle(self, message):
        if len(message) == 100:
            self.channel.send(bytes(1000))
        else:
            self.answered.set_result(None)

    def fail(self, error): ...


def test_what_goes_over_the_channels_between_runs_is_counted_once(agents):
    async def question(p):
        if p.party.rank == 0:
            asked = p.party.kept(1, Asked)
            asked.channel.send(bytes(100))
            await p.party.settled(asked.answered)
        if p.party.rank == 1:
            p.party.kept(0, Asked)

    assert [meter.ahead_bytes for _, meter in run(agents, question)] == [100, 1000, 0]
    outcome = run(agents, squares, label=b"2")
    assert [meter.ahead_bytes for _, meter in outcome] == [0, 0, 0]
    assert all(meter.sent_bytes > 0 for _, meter in outcome)


@pytest.mark.parametrize("agents", [{"window": 1 << 20}], indirect=True)
def test_full_windows_all_around_do_not_block_anybody(agents):
    """Everybody sends eight windows to the next before anybody takes a thing; what arrives is aligned."""

    async def program(p):
        x = words(130_001)
        after, before = (p.party.rank + 1) % 3, (p.party.rank - 1) % 3
        for i in range(8):
            p.party.send(after, x[i:])
        got = [await p.party.recv(before, x[i:]) for i in range(8)]
        return all(np.array_equal(g, x[i:]) and g.flags.aligned for i, g in enumerate(got))

    assert [result for result, _ in run(agents, program)] == [True] * 3


def test_a_lost_party_is_named_by_all(agents):
    async def program(p):
        if p.party.rank == 2:
            agents[2].link.close()
        await p.party.recv((p.party.rank + 1) % 3, bytes)

    began = time.monotonic()
    outcome = run(agents, program)
    assert [type(error) for error in outcome[:2]] == [PartyLost] * 2, outcome
    assert [error.party for error in outcome[:2]] == ["carol"] * 2
    assert time.monotonic() - began < 10


def test_keys_need_known_members():
    links = connected()
    with pytest.raises(PeerRejected):
        agree_keys(links[0], "alice", ("alice", "dave"), DEVICE, timeout=5)
    for one in links:
        one.close()

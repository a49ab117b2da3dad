"""What parties find out about the network between them: they find the same, whatever each has measured."""

from __future__ import annotations

from itertools import count

import pytest

from argot.errors import ConfigError, FrameError, ProgramMismatch
from argot.runtime import link
from argot.runtime.link import EMPTY, FILLED, Link, measure
from argot.runtime.world import World

NAMES = ("alice", "bob", "carol")


def clock(*took):
    """A clock by which the exchanges take so long; it is read at the beginning and at the end of each."""

    def readings():
        now = 0.0
        for seconds in took:
            yield now
            now += seconds
            yield now

    return readings().__next__


def measured(*tooks):
    """What the parties find if the exchanges take each of them so long; and the world of it."""
    world = World(lambda party: party)

    async def program(party):
        return await measure(party, NAMES, clock(*tooks[party.rank]))

    return world.run(program), world


def times(empty, filled):
    return [empty] * EMPTY + [filled] * len(FILLED)


def test_the_slowest_counts_at_all_parties():
    """Latency by bob, 3 ms; the largest filling by alice, 11 ms, of which 8 for 2^18 bytes from each of two."""
    found, _ = measured(times(0.001, 0.011), times(0.003, 0.007), times(0.0001, 0.0005))
    assert found[0] == found[1] == found[2]
    assert (found[0].latency, found[0].bandwidth) == pytest.approx((0.003, 8 * 2 * FILLED[-1] / 0.008))


def test_of_equal_exchanges_the_quickest_counts():
    disturbed = [0.5, *[0.002] * (EMPTY - 1), 0.2, 0.2, 0.2, 0.012]
    (found, *_), _ = measured(disturbed, times(0.001, 0.001), times(0.001, 0.001))
    assert (found.latency, found.bandwidth) == pytest.approx((0.002, 8 * 2 * FILLED[-1] / 0.010))


def test_a_rate_is_no_higher_than_times_can_tell():
    """Noise, or a long way: the filled exchanges take no longer than the empty ones."""
    (found, *_), _ = measured(*[times(0.04, 0.04)] * 3)
    assert found.bandwidth == pytest.approx(8 * 2 * FILLED[-1] / 0.02)


def test_a_slow_link_gets_no_large_fillings():
    """One party of three says that the first took long. The second was under way by then."""
    slow = [*[0.01] * EMPTY, 0.41, 1.61]
    found, world = measured(slow, [0.01] * (EMPTY + 2), [0.01] * (EMPTY + 2))
    assert found[0] == found[1] == found[2]
    assert found[0].bandwidth == pytest.approx(8 * 2 * FILLED[1] / 1.6)
    assert 0 < world.bits // 8 - 6 * sum(FILLED[:2]) < 6 * 8 * 16


def test_the_whole_takes_about_a_megabyte_a_pair():
    _, world = measured(*[times(0.001, 0.002)] * 3)
    assert world.bits / 8 / 3 < 1.25 * 2**20
    assert world.rounds == EMPTY + len(FILLED) + 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.001, 1e6])
def test_a_time_that_is_none_is_refused_and_its_party_named(bad):
    with pytest.raises(FrameError, match=r"bob took .* s for a message") as error:
        measured(times(0.001, 0.002), [0.001, bad, *times(0.001, 0.002)], times(0.001, 0.002))
    assert error.value.party == "bob"


def test_parties_that_find_different_links_say_so(monkeypatch):
    made = count(1)
    monkeypatch.setattr(link, "_link", lambda *_: Link(float(next(made)), 1.0))
    with pytest.raises(ProgramMismatch, match="have measured different links"):
        measured(*[times(0.001, 0.002)] * 3)


@pytest.mark.parametrize("bad", [(0, 0.1), (-1e9, 0.1), (1e9, -1), (float("nan"), 0), (1e9, float("inf"))])
def test_what_no_network_is_like(bad):
    with pytest.raises(ConfigError, match="finite, positive numbers"):
        Link(*bad).checked()


def test_a_link_prints_its_rate_and_the_time_there_and_back():
    assert str(Link(1.25e9, 0.00005)) == "1.25 Gbit/s, 0.1 ms"
    assert str(Link(100e6, 0.02)) == "100 Mbit/s, 40 ms"

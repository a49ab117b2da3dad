"""Up to how many elements fewer rounds are quicker."""

from __future__ import annotations

import pytest

from argot.mpc.aby3 import Aby3
from argot.mpc.few import FEW, LEAST, MOST, few
from argot.runtime.link import Link
from argot.runtime.world import World


@pytest.mark.parametrize(
    ("bandwidth", "round_trip", "log"),
    [
        (10e9, 0.1e-3, 15),  # 62.5 kB in one latency, 2.125 bytes an element: 29,412
        (1e9, 1e-3, 15),  # the same
        (100e6, 40e-3, 17),  # 250 kB: 117,647
        (1e9, 40e-3, 20),  # 2.5 MB: 1,176,471
    ],
)
def test_named_links(bandwidth, round_trip, log):
    assert few(Link(bandwidth, round_trip / 2), 18) == 2**log


def test_limits():
    assert few(None, 18) == FEW
    assert few(Link(1.0, 0.0), 18) == few(Link(1e6, 1e-6), 18) == LEAST
    assert few(Link(1e12, 1.0), 18) == few(Link(1e300, 1e300), 0) == MOST


@pytest.mark.parametrize("n", [LEAST + 64, 2**11])
@pytest.mark.parametrize("d", [8, 18])
def test_the_party_that_receives_most_receives_d_minus_one_bits_less(n, d):
    """What the formula counts is what is received: with the one form by party 2, with the other by party 1."""
    busiest = {}
    for name, link in {"two": Link(1e12, 1.0), "three": Link(1.0, 0.0)}.items():
        world = World(lambda party, link=link: Aby3(party, 64, d, link))

        async def product(p):
            x = p.public(p.constant(5, (n,)))
            return await p.mul_trunc(x, x)

        world.run(product)
        assert world.rounds == {"two": 2, "three": 3}[name]
        received = [0] * 3
        for (_, receiver, _), (_, bits) in world.traffic.items():
            received[receiver] += bits
        busiest[name] = max(received)
    assert busiest["two"] - busiest["three"] == (d - 1) * n

"""Which MPC devices there can be."""

from __future__ import annotations

import pytest

from argot.devices import mpc
from argot.errors import ConfigError
from argot.mpc import derived
from argot.mpc.aby3 import Aby3
from argot.runtime.world import World

MOST = {32: 13, 64: 29, 128: 48}


@pytest.mark.parametrize(("ring", "most"), MOST.items())
def test_fraction_bits_that_functions_have_no_room_for_are_refused(ring, most):
    assert mpc.check("aby3", 3, ring, most) is Aby3
    for bits in (-1, most + 1):
        with pytest.raises(ConfigError, match="fraction bits"):
            mpc.check("aby3", 3, ring, bits)


@pytest.mark.parametrize(("ring", "f"), MOST.items())
def test_the_most_fraction_bits_leave_digits_to_a_reciprocal(ring, f):
    world = World(lambda party: Aby3(party, ring, f), seed=2)
    values = [2.0**e * m for e in range(-3, ring - 2 * f - 3) for m in (1, 1.3, -1.9)]

    async def program(p):
        words = p.encode(values) if p.party.rank == 0 else None
        x = await p.share(words, 0, (len(values),))
        found = await p.reveal_to(await derived.reciprocal(p, x), [0])
        return None if found is None else p.decode(found)

    got = world.run(program)[0]
    for y, v in zip(got, values, strict=True):
        assert abs(y - 1 / v) <= 4 * 2.0**-f + (1e-3 if ring == 32 else 1e-6) * abs(1 / v)

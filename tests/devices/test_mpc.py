"""Which MPC devices there can be, and what is revealed."""

from __future__ import annotations

from struct import unpack_from

import numpy as np
import pytest

from argot.devices import mpc
from argot.errors import ConfigError
from argot.mpc import derived
from argot.mpc.aby3 import Aby3
from argot.mpc.protocol import RINGS, Arith
from argot.runtime.world import World
from argot.vm.ir import TensorType
from argot.vm.values import Private, Secret

MOST = {32: 13, 64: 29, 128: 48}


@pytest.mark.parametrize(("ring", "most"), MOST.items())
def test_fraction_bits_that_functions_have_no_room_for_are_refused(ring, most):
    assert mpc.check("aby3", 3, ring, most).protocol is Aby3
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


@pytest.mark.parametrize("k", [32, 64, 128])
@pytest.mark.parametrize("dtype", ["i8", "u16", "i32", "i64"])
@pytest.mark.parametrize("visibility", ["secret", "private"])
def test_no_more_of_an_integer_is_revealed_than_its_width(k, dtype, visibility):
    """In the ring it has not wrapped: what it drops would tell the recipient of the operands."""
    type_ = TensorType(dtype, (64,))
    width = 8 * type_.numpy.itemsize
    if width > k:
        return
    values = np.arange(64) * 77 - 1234
    wide = np.zeros(64, RINGS[k])
    low = wide["lo"] if k == 128 else wide
    low[...] = (values.astype(np.int64) << 9).astype(low.dtype)
    heard = []

    def listen(sender, receiver, packet):
        (size,) = unpack_from("<Q", bytes(packet), 24)
        if receiver == 0:
            heard.append(np.frombuffer(bytes(packet), RINGS[k], size * 8 // k, 32))
        return [packet]

    async def share(p):
        return await p.share(wide if p.party.rank == 1 else None, 1, wide.shape)

    async def program(p, x):
        if visibility == "private":
            own = Private(1, Arith((wide,)) if p.party.rank == 1 else None, type_)
            return await mpc.reveal(p, [own], 0)
        return await mpc.reveal(p, [Secret(x, type_)], 0)

    world = World(lambda party: Aby3(party, k), seed=3)
    shares = world.run(share)
    world.intercept = listen
    (got,) = world.run(program, shares)[0]
    assert (got == (values.astype(np.int64) << 9).astype(type_.numpy)).all()
    (words,) = heard
    if k == 128:
        assert not words["hi"].any()
        words = words["lo"]
    if width < min(k, 64):
        assert not (words >> np.array(width, words.dtype)).any()

"""Runs programs for tests: in the clear under `Plain`, or by all parties of a protocol in one process.

    found = on_plain(program, arrays)                      # arrays in the order of the program's parameters
    found, world = on_world(Aby3, program, arrays)

Both give the results as arrays, whatever their visibility.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..mpc import Form
from ..mpc.bits import Bits
from ..mpc.plain import Plain
from ..mpc.protocol import Arith, Bool, Protocol
from ..runtime.party import Party, Spec
from ..runtime.scheduler import gather
from ..runtime.world import Delivery, World
from .ir import PUBLIC, SECRET, Program, Var
from .machine import WINDOW, alone, run
from .values import Array, Private, Public, Secret, Value, decode, encode


def reference(ring: int = 64, fraction_bits: int = 18) -> Plain:
    """The protocol in the clear."""
    return Plain(Party(0, 1, {frozenset({0}): bytes(32)}, bytes(32)), ring, fraction_bits)


def on_plain(
    program: Program, arrays: Sequence[Any], *, ring: int = 64, fraction_bits: int = 18, window: int = WINDOW
) -> list[Array]:
    """The results in the clear; one process is all parties."""
    plain = reference(ring, fraction_bits)
    inputs = [_input(v, a, plain) for v, a in zip(program.parameters, arrays, strict=True)]
    return [_shown(value, plain) for value in alone(run(program, inputs, plain, plain, window=window))]


def _input(v: Var, array: Any, plain: Plain) -> Value:
    if v.visibility == PUBLIC:
        return Public.of(array, v.type)
    if v.visibility == SECRET:
        return Secret(encode(array, v.type, plain), v.type)
    return Private.of(v.visibility.rank, array, v.type, plain)


def _shown(value: Value, plain: Plain) -> Array:
    if isinstance(value, Public):
        return value.array
    assert value.share is not None
    return decode(value.share, value.type, plain)


def on_world(
    protocol: type[Protocol] | Form,
    program: Program,
    arrays: Sequence[Any],
    *,
    seed: int = 0,
    delivery: Delivery | None = None,
    window: int = WINDOW,
    ring: int = 64,
    fraction_bits: int = 18,
) -> tuple[list[Array], World]:
    """The results, which all parties learn, and the world with what it measured.

    Secret inputs come from party 0. Raises AssertionError if the parties learn different results.
    """
    world = World(lambda party: protocol(party, ring, fraction_bits), n=protocol.parties, seed=seed, delivery=delivery)

    async def everything(p: Protocol) -> list[Array]:
        plain = reference(ring, fraction_bits)
        inputs = await gather(*(_shared(p, v, a, plain) for v, a in zip(program.parameters, arrays, strict=True)))
        values = await run(program, inputs, p, plain, window=window)
        return await gather(*(_open(p, v, value, plain) for v, value in zip(program.results, values, strict=True)))

    results = world.run(everything)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    return results[0], world


async def _shared(p: Protocol, v: Var, array: Any, plain: Plain) -> Value:
    if v.visibility == PUBLIC:
        return Public.of(array, v.type)
    if v.visibility != SECRET:
        owner = v.visibility.rank
        return Private.of(owner, array if p.party.rank == owner else None, v.type, plain)
    share = encode(array, v.type, plain) if p.party.rank == 0 else None
    if v.type.dtype == "bool":
        bits = share.parts[0] if isinstance(share, Bool) else None
        return Secret(await p.share_bits(bits, 0, v.type.shape, 1), v.type)
    return Secret(await p.share(share.parts[0] if isinstance(share, Arith) else None, 0, v.type.shape), v.type)


async def _open(p: Protocol, v: Var, value: Value, plain: Plain) -> Array:
    if isinstance(value, Public):
        return value.array
    ranks = range(p.party.n)
    if isinstance(value, Private):
        words = await _told(p, value)
    elif isinstance(value.share, Bool):
        bits = await p.reveal_bits_to(value.share, ranks)
        assert bits is not None
        words = Bool((bits,))
    else:
        numbers = await p.reveal_to(value.share, ranks)
        assert numbers is not None
        words = Arith((numbers,))
    return decode(words, v.type, plain)


async def _told(p: Protocol, value: Private) -> Arith | Bool:
    """A private value, told to all by its owner."""
    if p.party.rank == value.owner:
        assert value.share is not None
        for rank in range(p.party.n):
            if rank != value.owner:
                p.party.send(rank, value.share.parts[0])
        return value.share
    if value.type.dtype == "bool":
        return Bool((await p.party.recv(value.owner, Bits.zeros(value.type.shape, 1)),))
    return Arith((await p.party.recv(value.owner, Spec(value.type.shape, p.dtype)),))

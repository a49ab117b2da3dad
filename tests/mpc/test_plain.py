"""The reference against Python's integers: exact where the contract is exact, to nearest where it rounds."""

from __future__ import annotations

import numpy as np
import pytest
from mpc_worlds import corners, integers, ints, run, words

from argot import mpc
from argot.errors import ConfigError, UnknownNameError
from argot.mpc.bits import Bits
from argot.mpc.plain import Plain
from argot.mpc.protocol import Protocol, concat, concat_bits, ring_dtype

RINGS = [32, 64, 128]


def wrap(value: int, k: int) -> int:
    return (value + 2 ** (k - 1)) % 2**k - 2 ** (k - 1)


@pytest.mark.parametrize("k", RINGS)
def test_numbers(k):
    rng = np.random.default_rng(k)
    x, y = corners(k) + integers(rng, k, 30), integers(rng, k, 20) + corners(k) + integers(rng, k, 10)

    async def all_of_them(p, x, y):
        bits = await p.a2b(x, 11)
        less = await p.msb(x)
        return (
            await p.mul(x, y),
            await p.square(x),
            bits,
            await p.b2a(bits),
            less,
            await p.equal(x, y),
            await p.select(less, x, y),
            await p.mul_bit(less, y),
        )

    product, square, bits, number, less, same, chosen, kept = run(
        all_of_them, words(x, k), words(y, k), k=k, protocol=Plain
    )
    pairs = list(zip(x, y, strict=True))
    assert ints(product) == [wrap(a * b, k) for a, b in pairs]
    assert ints(square) == [wrap(a * a, k) for a in x]
    assert ints(bits.to_ring(product.dtype)) == ints(number) == [a % 2**11 for a in x]
    assert list(less.to_bool()) == [a < 0 for a in x]
    assert list(same.to_bool()) == [a == b for a, b in pairs]
    assert ints(chosen) == [a if a < 0 else b for a, b in pairs]
    assert ints(kept) == [b if a < 0 else 0 for a, b in pairs]


@pytest.mark.parametrize("k", RINGS)
def test_truncation_rounds_to_nearest_and_halves_up(k):
    limit = 2 ** (k - 2) - 1
    x = [-limit, limit, 0, 1, -1, 2, -2, 3, -3, 6, -6]
    for d in (0, 1, 2, k // 2, k - 2):
        got = ints(run(lambda p, x, d=d: p.trunc(x, d), words(x, k), k=k, protocol=Plain))
        assert got == [(v + (1 << d >> 1)) >> d for v in x]


@pytest.mark.parametrize("k", RINGS)
def test_fixed_point_products(k):
    f = {32: 8, 64: 18, 128: 40}[k]
    x, y = np.array([1.5, -2.25, 0.125, 3.0]), np.array([[2.0, -1.5], [4.0, 0.5]])

    async def program(p):
        assert p.fraction_bits == f
        a, b = p.public(p.encode(x)), p.public(p.encode(y))
        m = await p.matmul_trunc(a.reshape((2, 2)), b)
        return [p.decode(s.parts[0]) for s in (await p.mul_trunc(a, b.reshape((4,))), await p.square_trunc(a), m)]

    from argot.runtime.world import World

    (results,) = World(lambda party: Plain(party, ring=k), n=1).run(program)
    for got, want in zip(results, (x * y.reshape(-1), x * x, x.reshape(2, 2) @ y), strict=True):
        assert np.abs(got - want).max() <= 2.0**-f


def test_joining_shares():
    async def program(p, x, y, b, c):
        return concat([x, y], 1), concat_bits([b, c], 0)

    x, y = np.arange(6).reshape(2, 3), np.arange(4).reshape(2, 2)
    b, c = np.array([True, False]), np.array([True])
    numbers, bits = run(program, words(x, 64), words(y, 64), Bits.from_bool(b), Bits.from_bool(c), protocol=Plain)
    assert (numbers == np.concatenate([x, y], 1)).all()
    assert list(bits.to_bool()) == [True, False, True]


def test_protocols_are_found_by_file_name():
    assert {"aby3", "plain"} <= set(mpc.names())
    for name in mpc.names():
        assert issubclass(mpc.load(name), Protocol)
    assert mpc.load("plain") is Plain
    with pytest.raises(UnknownNameError, match="aby3, "):
        mpc.load("aby4")
    with pytest.raises(UnknownNameError):
        mpc.load("protocol")


def test_rings_by_any_name_and_no_others():
    for name in (64, "64", "u64", np.uint64, np.dtype(np.uint64)):
        assert ring_dtype(name) == np.uint64
    for name in (63, "float", np.float64, np.int64):
        with pytest.raises(ConfigError, match="ring"):
            ring_dtype(name)
    with pytest.raises(ConfigError, match="fraction bits"):
        Plain(None, 64, 40)

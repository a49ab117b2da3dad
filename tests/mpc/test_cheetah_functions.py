"""Cheetah's functions of a mantissa, and its powers of two: against NumPy, at every edge, and what they stand on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_derived import FRACTION, TRUTH, check, evaluate, grid, own, spread

from argot.mpc import additive_functions, cheetah_functions
from argot.mpc.cheetah import Cheetah
from argot.mpc.cheetah_functions import Normal, bits_of
from argot.runtime.world import World

MANTISSAS = ("reciprocal", "sqrt", "rsqrt", "log")

# (arguments, grid steps, relative error)
CLAIMS = [
    ("reciprocal", spread(2**-18, 2**25, 3000), 2, 1e-6),
    ("reciprocal", -spread(2**-18, 2**25, 3000), 2, 1e-6),
    ("log", spread(2**-18, 2**25, 3000), 2, 0.0),
    ("sqrt", spread(2**-18, 2**25, 3000), 2, 2e-6),
    ("rsqrt", spread(2**-18, 2**25, 3000), 2, 2e-6),
    ("exp", np.linspace(-12, 8, 700), 1.5, 1e-6),
    ("exp", np.linspace(8, 18.02, 300), 1.5, 1e-4),
    ("exp", np.linspace(-40, -12, 300), 1.5, 0.0),
]


def ends(bits: int) -> np.ndarray:
    """Integers about every power of two below 2^bits, of both signs, and zero."""
    powers = [1 << i for i in range(bits)]
    found = {0, 2**bits - 1, *powers, *(p + 1 for p in powers), *(p - 1 for p in powers)}
    return np.array(sorted({sign * n for n in found if abs(n) < 2**bits for sign in (1, -1)}), np.int64)


def opened(program: Any, words: np.ndarray, k: int = 64, seed: int = 0) -> Any:
    """What a program gives of shares of integers, at both parties."""
    world = World(lambda party: Cheetah(party, ring=k), n=2, seed=seed)

    async def run(p: Any) -> Any:
        x = words.astype(np.uint32 if k == 32 else np.uint64)
        share = await p.share(x if p.party.rank == 0 else None, 0, x.shape)
        return await program(p, share.parts[0])

    return world.run(run)


def bits(found: list[Any]) -> np.ndarray:
    return (found[0] ^ found[1]).to_bool()


@pytest.mark.parametrize("k", [32, 64])
@pytest.mark.parametrize("shift", [1, 2, 5, 6, 11, 17, 22])
def test_what_is_below_and_what_is_not(k, shift):
    """Of the sum of two parts, however they were split."""
    top = k - 3 - shift
    x = np.concatenate([ends(k - 2), np.random.default_rng(1).integers(-(4 << top), 4 << top, 3000)])
    for seed in range(3):
        below = bits(opened(lambda p, part: p._below(part, shift + 2), x, k, seed))
        assert below[np.abs(x) < 1 << top].all() and not below[np.abs(x) >= 2 << top].any()


@pytest.mark.parametrize("halves", [2, 1, -1, 0])
@pytest.mark.parametrize(("k", "bound"), [(64, 64), (64, 46), (64, 24), (64, 12), (64, 5), (64, 2), (32, 32), (32, 17)])
def test_mantissas_are_in_reach_and_scales_fit(halves, k, bound):
    count = bits_of(k, bound, halves)
    x = ends(min(bound - 1, k - 2))
    found: list[Normal] = opened(lambda p, part: cheetah_functions._normalised(p, part, count, halves), x, k, 4)
    c = (found[0].c + found[1].c).view(np.int32 if k == 32 else np.int64)
    negative, zero = (bits([getattr(one, name) for one in found]) for name in ("negative", "zero"))
    assert (negative == (x < 0)).all() and (zero == (x == 0)).all()
    low = (7 << (k - 7)) if halves % 2 else (3 << (k - 5))
    assert (np.abs(c) > low).all() and (np.abs(c) < 1 << (k - 2)).all()
    moved = sum(shift * bits([one.moves[i][1] for one in found]) for i, (shift, _) in enumerate(found[0].moves))
    assert (c == np.where(x == 0, 1, x) << (k - 2 - count + moved)).all()
    scale = found[0].scale + found[1].scale
    exponent = {2: moved, 1: moved // 2, -1: (count - 2 - moved) // 2, 0: 0 * moved}[halves]
    assert (scale == np.array(1, scale.dtype) << exponent.astype(scale.dtype)).all()


@pytest.mark.parametrize(("name", "x", "steps", "relative"), CLAIMS)
def test_errors_are_as_documented(name, x, steps, relative):
    x = grid(x)
    check(evaluate(own(name), x, protocol=Cheetah), TRUTH[name](x), steps, relative)


@pytest.mark.parametrize("bound", [None, 63, 46, 45, 31, 20, 6, 3])
def test_ends_of_bounds(bound):
    """The smallest and the largest numbers, and what is outside of a domain."""
    words = ends(min((bound or 64) - 1, 60))
    x = words / 2.0**18
    steps = {"reciprocal": 2, "sqrt": 3, "rsqrt": 2, "log": 2.5}
    for name in MANTISSAS:
        domain = np.abs(x) > 0 if name == "reciprocal" else x > 0

        async def program(p: Any, part: Any, name: str = name) -> Any:
            share = p.public(p.constant(0, part.shape)).map(lambda _: part)
            return await p.reveal_to(await getattr(p, name)(share, bound), [0, 1])

        got = opened(program, words, seed=9)[0].view(np.int64) / 2.0**18
        check(got[domain], TRUTH[name](x[domain]), steps[name], 2e-6)
        lowest = {"reciprocal": 2.0**18, "sqrt": 0.0, "rsqrt": 512.0, "log": -18 * np.log(2)}[name]
        check(got[~domain], np.full((~domain).sum(), lowest), 2, 1e-6)


@pytest.mark.parametrize(("k", "f"), [(64, 4), (64, 13), (64, 17), (64, 21), (64, 24), (32, 4), (32, 8), (32, 11)])
def test_other_rings_and_fraction_bits(k, f, monkeypatch):
    monkeypatch.setitem(FRACTION, k, f)
    high = min(2.0 ** (k - 2 * f - 3), 1000.0)
    for name in (*MANTISSAS, *(["exp"] if k - 2 - f <= additive_functions.REACH else [])):
        x = spread(max(2.0**-f, 1e-2), high, 100, k) if name != "exp" else grid(np.linspace(-5, np.log(high), 100), k)
        room = 2.0 ** -(k - 6 - 2 * f) if name == "reciprocal" else 2.0**-10 if k == 32 else 3e-6
        check(evaluate(own(name), x, k=k, protocol=Cheetah), TRUTH[name](x), 3, 2 * room, k)


def test_quotients():
    rng = np.random.default_rng(3)
    x, y = grid(rng.uniform(-1000, 1000, 2000)), grid(rng.uniform(-40, 40, 2000))
    y[y == 0] = 1
    check(evaluate(own("divide"), x, y, protocol=Cheetah), x / y, 3, 3e-5)
    check(evaluate(own("divide", bound=26, bound_x=30), x, y, protocol=Cheetah), x / y, 3, 3e-5)
    by_zero = evaluate(own("divide"), np.array([1.0, -2.0]), np.zeros(2), protocol=Cheetah)
    check(by_zero, np.array([2.0**18, -(2.0**19)]), 1, 3e-5)


def test_reach_of_exp():
    largest = 2.0**26 - 2.0**-18
    x = np.array([-600, -1e4, -(2.0**25), -20, 18.03, 20, 1e4, 2.0**26 - 1])
    assert evaluate(own("exp"), x, protocol=Cheetah).tolist() == [0, 0, 0, 0, largest, largest, largest, largest]
    promised = grid(np.linspace(-17, 18, 200))
    check(evaluate(own("exp", low=-17.0, high=18.0), promised, protocol=Cheetah), np.exp(promised), 1.5, 1e-6)


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1, 1), (2, 3)])
def test_few_and_no_elements(shape):
    x = np.full(shape, 2.5)
    for name in (*MANTISSAS, "exp"):
        got = evaluate(own(name), x, protocol=Cheetah)
        assert got.shape == shape and np.allclose(got, TRUTH[name](x), atol=1e-5)
    assert evaluate(own("divide"), x, x, protocol=Cheetah).shape == shape


def called(name: str, *words: np.ndarray, k: int = 64, fraction: int = 18, **limits: Any) -> np.ndarray:
    """A function of integers mod 2^k as fixed-point numbers of so many fraction bits, as such numbers."""
    world = World(lambda party: Cheetah(party, ring=k, fraction_bits=fraction), n=2, seed=3)

    async def run(p: Any) -> Any:
        shares = [await p.share(x.astype(np.uint64) if p.party.rank == 0 else None, 0, x.shape) for x in words]
        return (await getattr(p, name)(*shares, **limits)).parts[0]

    found = world.run(run)
    return (found[0] + found[1]).view(np.int64) / 2.0**fraction


@pytest.mark.parametrize(("bound", "error"), [(46, 4e-4), (55, 2e-2), (58, 0.13), (60, 0.6), (61, 1.0), (62, 1.0)])
def test_a_numerator_that_may_be_large_costs_digits_of_the_inverse_alone(bound, error):
    """The scale of the divisor keeps its own, so that quotients are not worse than 2^(bound - k + 3)."""
    y = spread(2**-4, 2**10, 60)
    want = spread(2**4, 2**16, 60)[::-1]
    found = called("divide", (y * want * 2**18).astype(np.int64), (y * 2**18).astype(np.int64), bound_x=bound)
    assert np.abs(found / want - 1).max() <= error


@pytest.mark.parametrize("fraction", [4, 5, 6, 8])
def test_exp_reaches_its_end_with_few_fraction_bits(fraction):
    """Where powers of two do not reach as far as numbers do, it is the general one."""
    top = int(np.floor(np.log(2.0 ** (62 - 2 * fraction))))
    x = np.arange(2, top)
    found = called("exp", x << fraction, fraction=fraction)
    assert (found > 0.3 * np.exp(x)).all() and (found < 3 * np.exp(x)).all()


@pytest.mark.parametrize("n", [4500, 8192, 10000])
@pytest.mark.parametrize("name", [*MANTISSAS, "exp", "sigmoid", "tanh", "sin"])
def test_so_many_that_rows_have_ciphertexts_of_their_own(name, n):
    """Whole ciphertexts and what is left, in each direction half of the rows."""
    x = spread(0.1, 10, n)
    check(evaluate(own(name), x, protocol=Cheetah), TRUTH[name](x), 15 if name in ("sigmoid", "tanh") else 2, 1e-6)

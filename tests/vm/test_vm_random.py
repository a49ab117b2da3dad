"""`argot.random`: numbers of the right distribution, new each time, in a program and in plain JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import argot
from argot.errors import InputError, ProgramError
from argot.mpc.aby3 import Aby3
from argot.vm.check import check, load
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import SECRET
from argot.vm.lower import Spec, trace
from argot.vm.parser import parse

N = 3000


def drawn(fn, seed=0, **options):
    """The results of a function without arguments, under ABY3."""
    return on_world(Aby3, trace(fn, []).program, [], seed=seed, **options)[0]


def plainly(fn):
    with jax.enable_x64(True):
        return [np.asarray(v) for v in jax.tree.leaves(fn())]


@pytest.mark.parametrize("how", [drawn, plainly, lambda fn: on_plain(trace(fn, []).program, [])])
def test_distributions(how):
    """Each passes a test that a wrong one fails by far: p below 1e-6 happens once in a million runs."""

    def fn():
        r = argot.random
        return r.uniform(N, -2.0, 6.0), r.normal((N,), 1.0, 3.0), r.bernoulli(0.5, N), r.bernoulli(0.1, (N,))

    flat, bell, coin, rare = how(fn)
    assert stats.kstest(flat, stats.uniform(-2, 8).cdf).pvalue > 1e-6
    assert stats.kstest(bell, stats.norm(1, 3).cdf).pvalue > 1e-6
    assert coin.dtype == rare.dtype == bool
    assert stats.binomtest(int(coin.sum()), N, 0.5).pvalue > 1e-6
    assert stats.binomtest(int(rare.sum()), N, 0.1).pvalue > 1e-6


def test_every_draw_is_another():
    """Of one program, of two runs, of the rounds of a loop, of one function that is called twice."""

    @jax.jit
    def once():
        return argot.random.uniform(8)

    def fn():
        _, rows = jax.lax.scan(lambda c, _: (c, argot.random.uniform(8)), 0, None, length=4)
        return argot.random.uniform(8), argot.random.uniform(8), once(), once(), rows

    def rows(seed):
        *single, many = drawn(fn, seed)
        return [tuple(row) for row in (*single, *many)]

    assert len({*rows(0), *rows(1)}) == 16
    assert len(set(rows(0)[4:])) == 4


def test_no_party_knows_a_number():
    """What two parties hold tells, what one holds does not: the parts of each are uniform, whatever the number is."""
    seen = []

    async def parts(p):
        bits = p.random_bits((6400,), 2)
        seen.append((p.party.rank, bits))
        return await p.reveal_bits_to(bits, (0, 1, 2))

    from argot.runtime.world import World

    results = World(lambda party: Aby3(party), n=3, seed=5).run(parts)
    held = {rank: [part.planes for part in bits.parts] for rank, bits in seen}
    for i in range(3):
        np.testing.assert_array_equal(held[i][1], held[(i + 1) % 3][0])
    whole = held[0][0] ^ held[0][1] ^ held[1][1]
    np.testing.assert_array_equal(results[0].planes, whole)
    for planes in (whole, *(held[i][0] for i in range(3)), held[0][0] ^ held[0][1]):
        ones = int(np.bitwise_count(planes).sum())
        assert stats.binomtest(ones, 12800, 0.5).pvalue > 1e-6


def test_permutations():
    def fn(x):
        return argot.random.permutation(6), argot.random.permutation(x)

    x = np.arange(20.0).reshape(10, 2)
    program = trace(fn, [Spec((10, 2))]).program
    places = []
    for _ in range(60):
        numbers, rows = on_plain(program, [x])
        assert sorted(numbers) == list(range(6))
        np.testing.assert_array_equal(rows[np.argsort(rows[:, 0])], x)
        places.append(numbers)
    first = np.bincount(np.array(places)[:, 0], minlength=6)
    assert stats.chisquare(first).pvalue > 1e-6
    numbers, rows = on_world(Aby3, program, [x])[0]
    assert sorted(numbers) == list(range(6)) and sorted(rows[:, 0]) == sorted(x[:, 0])


def test_the_probability_may_be_secret():
    p = np.repeat([0.0, 0.25, 1.0], 1000)
    found = on_world(Aby3, trace(argot.random.bernoulli, [Spec((3000,))]).program, [p])[0][0]
    assert not found[:1000].any() and found[2000:].all()
    assert stats.binomtest(int(found[1000:2000].sum()), 1000, 0.25).pvalue > 1e-6


def test_programs_with_draws_are_data():
    program = trace(lambda: argot.random.uniform(3), []).program
    assert parse(str(program)) == program and load(program.to_bytes()).hash() == program.hash()
    assert program.body.vars()[program.body.results[0]].visibility == SECRET
    with pytest.raises(ProgramError, match="secret"):
        check(parse(str(program).replace("secret = random", "public = random")))


@pytest.mark.parametrize(("ring", "fraction_bits"), [(32, 8), (128, 40)])
def test_rings(ring, fraction_bits):
    flat, coin = drawn(
        lambda: (argot.random.uniform(N), argot.random.bernoulli(0.25, N)), ring=ring, fraction_bits=fraction_bits
    )
    assert stats.kstest(flat, "uniform").pvalue > 1e-9 if ring > 32 else abs(flat.mean() - 0.5) < 0.05
    assert abs(coin.mean() - 0.25) < 0.05


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda: argot.random.uniform(3, 2.0, 1.0), "from 2.0 to 1.0"),
        (lambda: argot.random.bernoulli(1.5, 3), "probability of 1.5"),
        (lambda: argot.random.permutation(jnp.ones(())), "single number"),
    ],
)
def test_bad_arguments(fn, message):
    with pytest.raises(InputError, match=message):
        fn()

"""Elementary functions on additive shares: against NumPy, at every edge, in two rings, for all numbers of parties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_derived import FRACTION, OF_ANY_SIGN, TRUTH, check, evaluate, general, grid, own

from argot import mpc
from argot.mpc import additive_functions, derived
from argot.mpc.semi2k_dealer import Semi2kDealer
from argot.runtime.world import Delivery, World

FORMS = [mpc.Form(mpc.load("semi2k"), n + 1, dealer=True) for n in (2, 3, 4, 8)]
TWO, FOUR = FORMS[0], FORMS[2]

# What docs/reference/accuracy.md says, for 64 bits: (arguments, grid steps, relative error).
CLAIMS = [
    ("exp", np.linspace(-12, 8, 700), 1.5, 1e-8),
    ("exp", np.linspace(8, 18.02, 300), 1.5, 1e-4),
    ("exp", np.linspace(-40, -12, 300), 1.5, 0.0),
    ("sigmoid", np.linspace(-20, 20, 1000), 14, 0.0),
    ("tanh", np.linspace(-12, 12, 1000), 15, 0.0),
    ("erf", np.linspace(-5, 5, 1000), 8, 0.0),
    ("sin", np.linspace(-100, 100, 1000), 2, 0.0),
    ("cos", np.linspace(-(2.0**22), 2.0**22, 1001), 3, 0.0),
]


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize(("name", "x", "steps", "relative"), CLAIMS)
def test_errors_are_as_documented(name, x, steps, relative, form):
    """exp rounds every part: half a step for each party beyond the second."""
    x = grid(x)
    more = (form.parties - 3) / 2 if name == "exp" else 0
    check(evaluate(own(name), x, protocol=form), TRUTH[name](x), steps + more, relative)


@pytest.mark.parametrize("name", OF_ANY_SIGN)
def test_they_are_not_the_general_ones(name):
    x = grid(np.linspace(-4, 4, 500))
    assert getattr(Semi2kDealer, name) is getattr(additive_functions, name)
    assert evaluate(own(name), x, protocol=TWO).tolist() != evaluate(general(name), x, protocol=TWO).tolist()


@pytest.mark.parametrize("form", (TWO, FOUR), ids=repr)
@pytest.mark.parametrize(
    ("k", "f"), [(64, 0), (64, 4), (64, 20), (64, 21), (64, 24), (64, 29), (32, 4), (32, 8), (32, 13)]
)
def test_other_rings_and_fraction_bits(k, f, form, monkeypatch):
    monkeypatch.setitem(FRACTION, k, f)
    high = min(2.0 ** (k - 2 * f - 3), 1000.0)
    for name in OF_ANY_SIGN:
        x = grid(np.linspace(-5, np.log(high) - 0.1, 100), k)
        want = TRUTH[name](x)
        keep = np.abs(want) < 2 * high
        loose = {"sigmoid": 6.5e-5, "tanh": 6e-5, "erf": 4e-5}.get(name, 0) * 2.0**f
        check(evaluate(own(name), x, k=k, protocol=form)[keep], want[keep], 4 + loose, 2e-4 if k == 32 else 1e-6, k)


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_reach_of_exp(form):
    largest = 2.0**26 - 2.0**-18
    x = np.array([-600, -1e4, -(2.0**25), -20, 18.03, 20, 1e4, 2.0**26 - 1])
    got = evaluate(own("exp"), x, protocol=form)
    assert got.tolist() == [0, 0, 0, 0, largest, largest, largest, largest]
    edge = grid(np.log(largest) + np.linspace(-1e-3, 1e-3, 301))
    got = evaluate(own("exp"), edge, protocol=form)
    assert got.max() == largest
    assert np.all(np.abs(got / np.minimum(np.exp(edge), largest) - 1) < 1e-4)


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize("bound", [None, 46])
def test_steps_saturate_exactly(bound, form):
    for sign in (1, -1):
        for name, reach in (("sigmoid", 10.25), ("tanh", 5.5), ("erf", 3.125)):
            x = sign * np.array([reach, 11, 1000, 2.0**25, 2.0**26 - 1])
            low = 0.0 if name == "sigmoid" else -1.0
            assert evaluate(own(name, bound=bound), x, protocol=form).tolist() == [1.0 if sign > 0 else low] * 5


@pytest.mark.parametrize("form", (TWO, FOUR), ids=repr)
def test_declared_ranges_give_the_same(form):
    x = grid(np.linspace(-14, 0, 300))
    for options in ({"low": -17.0, "high": 18.0}, {"high": 0.0}, {"bound": 32}, {"low": -17.0}):
        check(evaluate(own("exp", **options), x, protocol=form), np.exp(x), 3, 1e-8)
    ends = grid(np.array([-17.3, -17, -16, 16, 17, 18.02]))
    check(evaluate(own("exp", low=-17.3, high=18.02), ends, protocol=form), np.exp(ends), 3, 1e-8)


@pytest.mark.parametrize("form", (TWO, FOUR), ids=repr)
@pytest.mark.parametrize("k", [32, 64])
@pytest.mark.parametrize("name", OF_ANY_SIGN)
def test_every_true_bound_gives_the_same(name, k, form):
    """Also those below the limits that the functions compare with, from a few steps up to |x| < 16."""
    f = FRACTION[k]
    for bound in range(2, f + 6):
        x = np.unique(np.round(np.linspace(1 - 2 ** (bound - 1), 2 ** (bound - 1) - 1, 9))) / 2.0**f
        x = x[x < 8.0]
        got = evaluate(own(name, bound=bound), x, k=k, protocol=form)
        check(got, TRUTH[name](x), {32: 6, 64: 27}[k], {32: 3e-2, 64: 4e-5}[k], k)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (65,), (0, 4)])
@pytest.mark.parametrize("name", OF_ANY_SIGN)
def test_shapes(name, shape):
    x = np.full(shape, 0.75)
    for form in (TWO, FOUR):
        got = evaluate(own(name), x, protocol=form)
        assert got.shape == shape
        if x.size:
            check(got.reshape(-1), TRUTH[name](x).reshape(-1), 14, 0)


@pytest.mark.parametrize("form", (TWO, FOUR), ids=repr)
def test_more_than_one_part(form):
    x = grid(np.linspace(-8, 8, additive_functions.PART + 70))
    check(evaluate(own("sigmoid"), x, protocol=form), TRUTH["sigmoid"](x), 14, 0)


@pytest.mark.parametrize("name", OF_ANY_SIGN)
def test_any_delivery(name):
    x = grid(np.linspace(-4, 4, 100))
    for form in (TWO, FOUR):
        shaken = evaluate(own(name), x, protocol=form, delivery=Delivery())
        assert shaken.tolist() == evaluate(own(name), x, protocol=form).tolist()


@pytest.mark.parametrize("form", FORMS, ids=repr)
@pytest.mark.parametrize("split", ["first", "last", "halves", "wraps"])
def test_any_split_of_an_element(form, split):
    """Parts at the ends of the ring, where they wrap or leave all to one party."""
    words = np.round(np.linspace(-12, 12, 257) * 2**18).astype(np.int64).view(np.uint64)
    world = World(form, n=form.parties, seed=9)
    others = {"first": 0, "last": 0, "halves": 1 << 63, "wraps": 2**64 - 1}[split]
    whole = {"first": 0, "last": form.parties - 2}.get(split, 0)

    async def program(p: Any, name: str) -> np.ndarray | None:
        part = np.full(words.shape, others if p.computes else 0, np.uint64)
        if p.party.rank == whole:
            part = words - np.uint64(others * (form.parties - 2) % 2**64)
        x = p.public(words).map(lambda _: part)
        return await p.reveal_to(await getattr(derived, name)(p, x), [0])

    x = words.view(np.int64) / 2.0**18
    for name in OF_ANY_SIGN:
        got = world.run(program, [name] * form.parties)[0].view(np.int64) / 2.0**18
        check(got, TRUTH[name](x), 15, 1e-7)

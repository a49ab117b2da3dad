"""Elementary functions: ABY3's own and the general ones against NumPy, over ranges, at every edge, in three rings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot.mpc import derived
from argot.mpc.aby3 import PART, Aby3
from argot.mpc.derived import clear
from argot.mpc.plain import Plain
from argot.mpc.protocol import RINGS, Arith
from argot.runtime.world import Delivery, World

FRACTION = {32: 8, 64: 18, 128: 40}
FUNCTIONS = ("exp", "log", "sigmoid", "tanh", "erf", "sin", "cos", "reciprocal", "sqrt", "rsqrt")
OF_ANY_SIGN = ("exp", "sigmoid", "tanh", "erf", "sin", "cos")
TRUTH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "log": np.log,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "sin": np.sin,
    "cos": np.cos,
    "reciprocal": lambda x: 1 / x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
}


def evaluate(
    function: Callable[..., Any], *inputs: np.ndarray, k: int = 64, protocol: Any = Aby3, **options: Any
) -> np.ndarray:
    """function(p, *shares) of reals, revealed."""
    f = FRACTION[k]
    world = World(lambda party: protocol(party, k, f), n=protocol.parties, seed=5, **options)

    async def program(p: Any) -> np.ndarray | None:
        mine = [p.encode(x) if p.party.rank == 0 else None for x in inputs]
        shares = [await p.share(m, 0, x.shape) for m, x in zip(mine, inputs, strict=True)]
        return await p.reveal_to(await function(p, *shares), [0])

    return Plain(None, k, f).decode(world.run(program)[0])  # type: ignore[arg-type]


def own(name: str, **arguments: Any) -> Callable[..., Any]:
    return lambda p, *x: getattr(derived, name)(p, *x, **arguments)


def general(name: str, **arguments: Any) -> Callable[..., Any]:
    return lambda p, *x: getattr(derived, name).general(p, *x, **arguments)


def grid(x: np.ndarray, k: int = 64) -> np.ndarray:
    return np.round(np.asarray(x, float) * 2.0 ** FRACTION[k]) / 2.0 ** FRACTION[k]


def spread(low: float, high: float, n: int = 500, k: int = 64) -> np.ndarray:
    """Positive numbers of all magnitudes, on the grid."""
    rng = np.random.default_rng(7)
    return grid(np.exp(rng.uniform(np.log(low), np.log(high), n)), k)


def check(got: np.ndarray, want: np.ndarray, steps: float, relative: float, k: int = 64) -> None:
    allowed = steps * 2.0 ** -FRACTION[k] + relative * np.abs(want)
    worst = int(np.argmax(np.abs(got - want) - allowed))
    assert np.all(np.abs(got - want) <= allowed), f"{got[worst]} instead of {want[worst]}"


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
    ("reciprocal", spread(2**-18, 2**25), 2, 4e-7),
    ("reciprocal", -spread(2**-18, 2**25), 2, 4e-7),
    ("log", spread(2**-18, 2**25), 2, 0.0),
    ("sqrt", spread(2**-18, 2**25), 2, 2e-6),
    ("rsqrt", spread(2**-18, 2**25), 2, 4e-7),
]


@pytest.mark.parametrize(("name", "x", "steps", "relative"), CLAIMS)
def test_errors_are_as_documented(name, x, steps, relative):
    x = grid(x)
    check(evaluate(own(name), x), TRUTH[name](x), steps, relative)


@pytest.mark.parametrize(("name", "x"), [(c[0], c[1][::5]) for c in CLAIMS])
def test_general_functions(name, x):
    x = grid(x)
    check(evaluate(general(name), x), TRUTH[name](x), 27 if name == "tanh" else 6, 4e-5)


@pytest.mark.parametrize(("k", "f"), [(64, 4), (64, 8), (64, 13), (128, 8), (128, 48)])
def test_general_reciprocals_under_other_fraction_bits(k, f, monkeypatch):
    """Many digits of a mantissa, of which products must not leave the ring, and few."""
    monkeypatch.setitem(FRACTION, k, f)
    x = spread(2.0**-f, 2.0 ** min(f, k // 2 - f - 2), 100, k)
    check(evaluate(general("reciprocal"), x, k=k), 1 / x, 2, 1e-7, k)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("k", [32, 128])
def test_other_rings(name, k):
    low, high = (2**-4, 60) if k == 32 else (2**-14, 2**30)
    x = spread(low, high, 64, k)
    if name in OF_ANY_SIGN:
        x = grid(np.linspace(-9, 9, 64), k)
    steps, relative = (3, 1e-3) if k == 32 else (30, 1e-10)
    check(evaluate(own(name), x, k=k), TRUTH[name](x), steps, relative, k)


def test_exp_in_a_small_ring_is_right_up_to_its_limit():
    largest = 2.0**14 - 2.0**-8
    x = np.floor(np.log(largest) * 2**8 - np.arange(-2, 9)) / 2**8
    got = evaluate(own("exp"), x, k=32)
    assert np.all(np.abs(got / np.minimum(np.exp(x), largest) - 1) < 4e-3)
    assert got[:2].tolist() == [largest] * 2


@pytest.mark.parametrize(("k", "f"), [(64, 4), (64, 22), (64, 24), (64, 29), (32, 4), (32, 13)])
def test_other_fraction_bits(k, f, monkeypatch):
    """Where a mantissa times a power of two does not fit the ring the product is made another way."""
    monkeypatch.setitem(FRACTION, k, f)
    high = min(2.0 ** (k - 2 * f - 3), 1000.0)
    for name in FUNCTIONS:
        x = spread(max(2.0**-f, 1e-3), high, 100, k)
        if name in OF_ANY_SIGN:
            x = grid(np.linspace(-5, np.log(high) - 0.1, 100), k)
        want = TRUTH[name](x)
        keep = np.abs(want) < 2 * high
        loose = {"sigmoid": 5.3e-5, "tanh": 5e-5, "erf": 3e-5, "log": 2e-6}.get(name, 0) * 2.0**f
        check(evaluate(own(name), x, k=k)[keep], want[keep], 3 + loose, 2e-4 if k == 32 else 1e-6, k)


@pytest.mark.parametrize("f", [20, 21, 23, 24, 26, 29])
@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "reciprocal"])
def test_roots_of_all_magnitudes_under_other_fraction_bits(name, f):
    words = (np.repeat(2.0 ** np.arange(62), 16) * np.tile(np.linspace(1, 1.9, 16), 62)).astype(np.uint64)
    world = World(lambda party: Aby3(party, 64, f), seed=6)

    async def program(p: Any) -> np.ndarray | None:
        x = await p.share(words if p.party.rank == 0 else None, 0, words.shape)
        return await p.reveal_to(await getattr(derived, name)(p, x), [0])

    got = world.run(program)[0].astype(np.int64) / 2.0**f
    want = TRUTH[name](words.astype(float) / 2.0**f)
    assert np.all(np.abs(got - want) <= 4 * 2.0**-f + 4e-6 * want)


def test_reach_of_exp():
    largest = 2.0**26 - 2.0**-18
    x = np.array([-600, -1e4, -(2.0**25), -20, 18.03, 20, 1e4, 2.0**26 - 1])
    got = evaluate(own("exp"), x)
    assert got.tolist() == [0, 0, 0, 0, largest, largest, largest, largest]
    edge = grid(np.log(largest) + np.linspace(-1e-3, 1e-3, 301))
    got = evaluate(own("exp"), edge)
    assert got.max() == largest
    assert np.all(np.abs(got / np.minimum(np.exp(edge), largest) - 1) < 1e-4)
    assert np.all(evaluate(own("exp"), grid(np.linspace(-17, -12, 301))) >= 0)


@pytest.mark.parametrize("bound", [None, 46])
def test_steps_saturate_exactly(bound):
    for sign in (1, -1):
        for name, reach in (("sigmoid", 10.25), ("tanh", 5.5), ("erf", 3.125)):
            x = sign * np.array([reach, 11, 1000, 2.0**25, 2.0**26 - 1])
            low = 0.0 if name == "sigmoid" else -1.0
            assert evaluate(own(name, bound=bound), x).tolist() == [1.0 if sign > 0 else low] * 5


@pytest.mark.parametrize("which", [own, general])
def test_what_is_outside_of_a_domain(which):
    step = 2.0**-18
    x = np.array([0, step, -step, -1.0, -(2.0**20)])
    lowest = np.round(-18 * np.log(2) / step) * step
    check(evaluate(which("reciprocal"), x), np.array([2.0**18, 2**18, -(2**18), -1, 0]), 2, 4e-7)
    log = evaluate(which("log"), x)
    assert np.all(np.abs(log - lowest) <= 2 * step)
    assert evaluate(which("sqrt"), x)[[0, 2, 3, 4]].tolist() == [0, 0, 0, 0]
    check(evaluate(which("rsqrt"), x), np.full(5, 512.0), 2, 4e-7)


@pytest.mark.parametrize("which", [own, general])
def test_powers_of_two(which):
    """Mantissas at both ends of their interval."""
    x = np.array([s * 2.0**e for e in range(-17, 25) for s in (1, -1)])
    check(evaluate(which("reciprocal"), x), 1 / x, 2, 4e-7)
    positive = x[::2]
    for name in ("log", "sqrt", "rsqrt"):
        check(evaluate(which(name), positive), TRUTH[name](positive), 3, 2e-6)


def test_roots_beyond_what_can_be_encoded():
    """Sums grow beyond 2^26; roots and logarithms of them are right up to the ring's end."""
    world = World(Aby3, seed=3)
    values = np.array([2**45, 2**52 + 12345, 2**60, 2**62 - 1], np.uint64)

    async def program(p: Any, name: str) -> np.ndarray | None:
        x = await p.share(values if p.party.rank == 0 else None, 0, values.shape)
        return await p.reveal_to(await getattr(derived, name)(p, x), [0])

    x = values.astype(float) / 2**18
    for name in ("sqrt", "log", "rsqrt", "reciprocal"):
        got = world.run(program, [name] * 3)[0].astype(np.int64) / 2**18
        check(got, TRUTH[name](x), 2, 2e-6)


def test_division():
    x = grid(np.random.default_rng(1).uniform(-1000, 1000, 600))
    y = spread(2**-8, 2**20, 600) * np.where(np.arange(600) % 2, 1, -1)
    check(evaluate(own("divide"), x, y), x / y, 2, 1e-5)
    check(evaluate(own("divide", bound_x=29), x, y), x / y, 2, 4e-7)
    check(evaluate(general("divide"), x, np.clip(y, -1000, 1000)), x / np.clip(y, -1000, 1000), 40, 1e-4)
    zeros = np.array([5.0, -5.0, 0.0, 200.0])
    check(evaluate(own("divide"), zeros, np.zeros(4)), zeros * 2.0**18, 2, 1e-5)
    large = np.array([2.0**25, -(2.0**25), 3e7])
    check(evaluate(own("divide"), large, np.array([2.0**20, 3.0, -1e7])), large / [2.0**20, 3.0, -1e7], 2, 1e-5)


@pytest.mark.parametrize("bound_x", [2, 9, 19, 23, 29, 37, 45])
def test_quotients_by_anything_of_a_numerator_with_a_bound(bound_x):
    """Also by numbers so large that nothing is left of the quotient."""
    x = np.array([2 ** (bound_x - 1) - 1, -(2 ** (bound_x - 1)) + 1, 1, -1] * 62)
    y = np.repeat(2 ** np.arange(62), 4) * np.where(np.arange(248) % 3, 1, -1) // 5 * 4 + 1
    keep = np.abs(x / y) < 2**26
    x, y = x[keep], y[keep]
    for bound in (None, 63):
        world = World(Aby3, seed=8)

        async def program(p: Any, bound: int | None = bound) -> np.ndarray | None:
            mine = [v.astype(np.int64).view(np.uint64) if p.party.rank == 0 else None for v in (x, y)]
            a, b = [await p.share(m, 0, x.shape) for m in mine]
            return await p.reveal_to(await derived.divide(p, a, b, bound=bound, bound_x=bound_x), [0])

        got = world.run(program)[0].view(np.int64)
        want = x / y * 2.0**18
        assert np.all(np.abs(got - want) <= 2 + (2.0 ** (bound_x - 62) + 4e-7) * np.abs(want))


@pytest.mark.parametrize("k", [64, 128])
@pytest.mark.parametrize("bound_x", [2, 16, 30, 44])
def test_general_quotients_of_a_numerator_with_a_bound(bound_x, k):
    """The digits that the bound frees are not all used: the iteration and the quotient must fit the ring too."""
    top = min(2.0 ** (bound_x - 1) - 1, 2.0**42) * 2.0 ** -FRACTION[k]
    x, y = np.array([top, -top, top / 2, 0.0]), np.array([1.0, -1.5, 0.75, 1000.0])
    got = evaluate(general("divide", bound_x=bound_x), x, y, k=k)
    check(got, x / y, 3, 4e-5, k)


def test_declared_ranges_give_the_same():
    x = grid(np.linspace(-14, 0, 300))
    for options in ({"low": -17.0, "high": 18.0}, {"high": 0.0}, {"bound": 32}, {"bound": 32, "low": -15.0}):
        check(evaluate(own("exp", **options), x), np.exp(x), 1.5, 1e-8)
    ends = grid(np.array([-17.3, -17, -16, 16, 17, 18.02]))
    check(evaluate(own("exp", low=-17.3, high=18.02), ends), np.exp(ends), 1.5, 1e-8)
    check(
        evaluate(own("exp", bound=23), grid(np.linspace(-16, 15.999, 500))),
        np.exp(grid(np.linspace(-16, 15.999, 500))),
        1.5,
        1e-8,
    )
    for name in FUNCTIONS[1:]:
        values = grid(np.linspace(0.01, 8000, 300))
        check(evaluate(own(name, bound=32), values), TRUTH[name](values), 14, 1e-6)


def test_bounds_hold_to_the_last_step():
    """|x| < 2^(bound-1) is enough: the comparisons shift x by their limits, which needs a bit more."""
    top = 2.0**13 - 2.0**-18
    x = np.array([top, -top, 2.0**13 - 9, 9 - 2.0**13])
    assert evaluate(own("sigmoid", bound=32), x).tolist() == [1, 0, 1, 0]
    largest = 2.0**26 - 2.0**-18
    assert evaluate(own("exp", bound=32), x).tolist() == [largest, 0, largest, 0]
    check(evaluate(own("reciprocal", bound=32), x), 1 / x, 2, 4e-7)


@pytest.mark.parametrize("k", [32, 64, 128])
@pytest.mark.parametrize("which", [own, general])
@pytest.mark.parametrize("name", OF_ANY_SIGN)
def test_every_true_bound_gives_the_same(name, which, k):
    """Also those below the limits that the functions compare with, from a few steps up to |x| < 16."""
    f = FRACTION[k]
    for bound in range(2, f + 6, 1 if k < 128 else 6):
        x = np.unique(np.round(np.linspace(1 - 2 ** (bound - 1), 2 ** (bound - 1) - 1, 9))) / 2.0**f
        x = x[x < 8.0]
        steps = {32: 6, 64: 27, 128: 64}[k]
        check(evaluate(which(name, bound=bound), x, k=k), TRUTH[name](x), steps, {32: 3e-2, 64: 4e-5, 128: 1e-10}[k], k)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 5), (65,), (0, 4)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes(name, shape):
    x = np.full(shape, 0.75)
    got = evaluate(own(name), x)
    assert got.shape == shape
    if x.size:
        check(got.reshape(-1), TRUTH[name](x).reshape(-1), 14, 0)


def test_more_than_one_part():
    x = grid(np.linspace(-8, 8, PART + 70))
    check(evaluate(own("sigmoid"), x), TRUTH["sigmoid"](x), 14, 0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_delivery(name):
    x = spread(0.1, 15, 100)
    got = evaluate(own(name), x, delivery=Delivery())
    assert got.tolist() == evaluate(own(name), x).tolist()


def test_softmax_with_a_mask():
    """The pieces compose: largest of a row, exp of what is below it, one reciprocal for each row, products."""

    async def softmax(p: Any, x: Arith) -> Arith:
        top = await derived.max(p, x, -1)
        below = p.sub(x, top.map(lambda part: np.repeat(part[:, None], x.shape[1], axis=1)))
        powers = await derived.exp(p, below, high=0.0)
        inverse = await derived.reciprocal(p, p.sum(powers, (1,)))
        return await p.mul_trunc(powers, inverse.map(lambda part: np.repeat(part[:, None], x.shape[1], axis=1)))

    x = grid(np.array([[0, 1, 2, -1e4], [3, 3, 3, 3], [0, 1, 2, -600], [-1e4, -1e4, 7, 8], [0, 0, 0, 2.0**25]]))
    shifted = np.exp(x - x.max(axis=1, keepdims=True))
    check(evaluate(softmax, x).reshape(-1), (shifted / shifted.sum(axis=1, keepdims=True)).reshape(-1), 3, 0)


# ---- in the clear --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [32, 64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_reference_is_rounded_correctly(name, k):
    x = spread(2.0 ** -FRACTION[k], 2.0 ** (k - 2 * FRACTION[k] - 3), 300, k)
    if name in OF_ANY_SIGN:
        x = grid(np.linspace(-9, 9, 300), k)
    got = evaluate(own(name), x, k=k, protocol=Plain)
    check(got, TRUTH[name](x), 0.5 + 1e-6, 1e-15, k)


def test_the_reference_of_other_dtypes_and_shapes():
    for k, dtype in RINGS.items():
        x = Plain(None, k, FRACTION[k]).encode(np.array([[1.0, 2.0], [4.0, 0.5]]))  # type: ignore[arg-type]
        got = clear.apply("sqrt", x.T, FRACTION[k])
        assert got.dtype == dtype and got.shape == (2, 2)
        assert Plain(None, k, FRACTION[k]).decode(got)[0].tolist() == [1.0, 2.0]  # type: ignore[arg-type]
        quotient = clear.divide(x, x, FRACTION[k])
        assert Plain(None, k, FRACTION[k]).decode(quotient).tolist() == [[1, 1], [1, 1]]  # type: ignore[arg-type]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-(2**43), 2**43), min_size=1, max_size=8), st.integers(-(2**43), 2**43))
def test_reference_division_of_integers(numerators, denominator):
    x = np.array(numerators, np.int64).view(np.uint64)
    y = np.full_like(x, np.int64(denominator).view(np.uint64))
    got = clear.divide(x, y, 18).view(np.int64)
    for n, q in zip(numerators, got.tolist(), strict=True):
        d = denominator or 1
        assert abs(2 * q * d - 2 * (n << 18)) <= abs(d) or abs(q) == 2**62

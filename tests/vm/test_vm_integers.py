"""Integers bit by bit, exact quotients, scans: at the edges, in every ring, and what they cost."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argot import mpc
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import PUBLIC
from argot.vm.lower import Spec, trace, within

ABY3 = mpc.load("aby3")
EDGE = 2**62 - 1


def both(fn, *arrays, ring=64, fraction_bits=18, public=()):
    """The results on shares, and those of JAX."""
    specs = [Spec(a.shape, a.dtype.name, *([PUBLIC] if i in public else [])) for i, a in enumerate(arrays)]
    program = trace(fn, specs).program
    found, world = on_world(ABY3, program, arrays, ring=ring, fraction_bits=fraction_bits)
    for a, b in zip(found, on_plain(program, arrays, ring=ring, fraction_bits=fraction_bits), strict=True):
        np.testing.assert_array_equal(a, b)
    with jax.enable_x64(True):
        expected = [np.asarray(leaf) for leaf in jax.tree.leaves(fn(*map(jnp.asarray, arrays)))]
    return found, expected, world


def divide(x, y):
    return x // y, x % y, jax.lax.div(x, y), jax.lax.rem(x, y)


def check(fn, *arrays, **how):
    found, expected, world = both(fn, *arrays, **how)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    return world


GRID = np.array([0, 1, 2, 3, 5, 2**15, 2**31 - 1, 2**31, 2**45 + 1, 2**61, EDGE - 1, EDGE])
X, Y = (v.ravel() for v in np.meshgrid(np.concatenate([GRID, -GRID]), np.concatenate([GRID, -GRID])))


@pytest.mark.parametrize("public", [(), (1,)])
def test_quotients_at_the_edges_of_the_ring(public):
    """y = 0 included: -1, as XLA has it."""
    check(divide, X, Y, public=public)


@pytest.mark.parametrize("divisor", [1, 2, 3, -7, 1000, 2**31, 2**45, 2**52 - 1, 2**52, 2**53 + 1, -EDGE])
def test_every_length_of_a_public_divisor(divisor):
    near = [q * abs(divisor) + d for q in (0, 1, 3, EDGE // abs(divisor)) for d in (-1, 0, 1)]
    x = np.array([n for n in near if abs(n) <= EDGE])
    check(lambda v: divide(v, jnp.int64(divisor)), np.concatenate([x, -x]))


def test_public_divisors_that_differ_share_one_division():
    x, y = np.repeat(X[:24], 6), np.tile([1, -3, 0, 10, 2**20 + 7, 2**33], 24)
    check(divide, x, y, public=(1,))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-EDGE, EDGE), st.integers(-EDGE, EDGE), st.integers(0, 61)), min_size=1, max_size=9)
)
def test_quotients_of_any_integers(cases):
    x, y, shift = (np.array(v) for v in zip(*cases, strict=True))
    y = y >> shift
    for public in ((), (1,)):
        specs = [Spec(x.shape, "int64"), Spec(y.shape, "int64", *([PUBLIC] if public else []))]
        found = on_plain(trace(divide, specs).program, [x, y])
        with jax.enable_x64(True):
            for a, b in zip(found, divide(jnp.asarray(x), jnp.asarray(y)), strict=True):
                np.testing.assert_array_equal(a, np.asarray(b))


@pytest.mark.parametrize(("ring", "fraction_bits", "top"), [(32, 8, 2**29), (128, 40, 2**61)])
@pytest.mark.parametrize("public", [(), (1,)])
def test_quotients_in_other_rings(ring, fraction_bits, top, public):
    x = np.array([0, 1, -1, 17, -17, top, -top, top - 1, 100])
    y = np.array([5, 1, 1, -5, 5, 3, -7, top, 0])
    narrow = (lambda v, w: divide(within(v, -top, top), within(w, -top, top))) if ring == 128 else divide
    check(narrow, x, y, ring=ring, fraction_bits=fraction_bits, public=public)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32])
def test_narrow_integers_wrap_before_they_are_divided_or_cut_into_bits(dtype):
    """In the ring the product has not wrapped."""
    top = np.iinfo(dtype).max
    x, y = np.array([top, top - 1, 3, top // 3], dtype), np.array([top, 5, 7, 11], dtype)

    def fn(v, w):
        z = v * w
        return z // w, z % w, z & w, z | w, z ^ w, z >> 2, z & dtype(6)

    check(fn, x, y)


def test_the_lowest_number_of_a_narrow_dtype():
    x = np.array([-128, -128, -128, 127], np.int8)
    check(divide, x, np.array([1, -128, 3, -128], np.int8))


def test_a_range_makes_a_division_cheaper():
    x, y = np.array([-99, 98, 7]), np.array([7, 9, 2])
    wide = check(lambda v, w: v // w, x, y).rounds
    narrow = check(lambda v, w: within(v, -127, 127) // within(w, 1, 15), x, y).rounds
    by_public = check(lambda v: v // 7, x).rounds
    assert by_public < narrow < wide / 3


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_comparisons_of_all_64_bits_cost_less_within_a_range(dtype):
    x, y = np.array([0, 3, 2**62], dtype), np.array([2**62, 3, 1], dtype)
    wide = check(lambda v, w: v < w, x, y)
    narrow = check(lambda v, w: within(v, 0, 2**62) < within(w, 0, 2**62), x, y)
    assert narrow.bits < wide.bits / 2 and narrow.rounds < wide.rounds


def test_comparisons_of_all_64_bits_in_a_wider_ring():
    x = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1], np.uint64)
    x, y = (v.ravel() for v in np.meshgrid(x, x))
    check(lambda v, w: (v < w, jnp.maximum(v, w)), x, y, ring=128, fraction_bits=40)
    check(lambda v, w: (v < w, jnp.maximum(v, w)), x.view(np.int64), y.view(np.int64), ring=128, fraction_bits=40)


def test_the_quotient_and_the_remainder_are_one_division():
    program = trace(lambda v, w: jnp.divmod(v, w), [Spec((3,), "int64")] * 2).program
    assert [e.op for e in program.body.walk()].count("int_div") == 1


def test_a_remainder_of_reals_is_exact_to_the_grid():
    rng = np.random.default_rng(3)
    x = np.round(rng.uniform(-(2.0**25), 2.0**25, 40) * 2**18) / 2**18
    y = np.round(rng.uniform(-9, 9, 40) * 2**18) / 2**18
    y[0] = 2.0**-18
    for public in ((), (1,)):
        check(lambda v, w: jnp.fmod(v, w), x, y, public=public)


def test_a_mask_asks_only_for_its_bits():
    x = np.arange(-5, 5)
    one = check(lambda v: v & 1, x)
    all_ = check(lambda v: v & -2, x)
    assert one.bits < all_.bits / 8


@pytest.mark.parametrize("n", [1, 2, 3, 8, 13])
@pytest.mark.parametrize("reverse", [False, True])
def test_scans_of_any_length(n, reverse):
    x = np.random.default_rng(n).integers(-3, 4, (2, n, 3))
    for scan in (jax.lax.cumprod, jax.lax.cummax, jax.lax.cummin):
        check(lambda v, scan=scan: scan(v, 1, reverse=reverse), x)


def test_scans_are_logarithmic():
    rounds = [check(lambda v: jax.lax.cummax(v), np.arange(n)[::-1].copy()).rounds for n in (2, 4, 64)]
    step = rounds[1] - rounds[0]
    assert rounds[2] - rounds[0] == 5 * step


def test_updates_at_one_place_join_in_a_tree():
    x, y = np.arange(1, 5), np.array([-1, 2, -3, 1, 2, 9, 7, 1, 1])
    for i in (np.zeros(9, int), np.array([3, 0, 3, 0, 1, 4, -5, 3, 3]), np.full(9, 4)):
        for at in ("multiply", "max", "min"):
            check(lambda v, w, j, at=at: getattr(v.at[j], at)(w), x, y, i, public=(2,))


def test_ranges_of_remainders_and_masks_are_known():
    def bounds(fn):
        program = trace(fn, [Spec((3,), "int64")]).program
        return [e.attrs["bound"] for e in program.body.walk() if e.op == "lt"]

    assert bounds(lambda v: (v & 12) < 3) == [4]
    assert bounds(lambda v: jax.lax.rem(within(v, 0, 99), jnp.int64(7)) < 3) == [7]
    assert bounds(lambda v: jax.lax.div(within(v, 0, 99), jnp.int64(7)) < 3) == [7]
    assert bounds(lambda v: (v & -4) < 3) == [64, 64]  # v's sign and the difference: it may overflow


def test_nothing_of_nothing():
    x = np.zeros((0, 3), np.int64)
    check(lambda v: (v & v, v | 3, v >> 2, v >> jnp.arange(3), *divide(v, v), *divide(v, jnp.int64(3))), x)
    check(lambda v: (jax.lax.cumprod(v), jax.lax.cummax(v, 1), v.at[jnp.zeros(0, int)].multiply(v)), x)

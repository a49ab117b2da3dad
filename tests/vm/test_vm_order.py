"""Orders: what sorts may be told, and what may not become of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from argot.errors import ProgramError
from argot.mpc.aby3 import Aby3
from argot.vm.check import check
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import PUBLIC, SECRET, private
from argot.vm.lower import Spec, trace, within
from argot.vm.parser import parse

RNG = np.random.default_rng(8)


def both(fn, arrays, visibilities=None):
    """Results of the reference and of shares, which must be JAX's."""
    kinds = visibilities or [SECRET] * len(arrays)
    specs = [Spec(a.shape, a.dtype.name, v) for a, v in zip(arrays, kinds, strict=True)]
    program = trace(fn, specs).program
    with jax.enable_x64(True):
        wanted = [np.asarray(leaf) for leaf in jax.tree.leaves(fn(*map(jnp.asarray, arrays)))]
    for found in (on_plain(program, arrays), on_world(Aby3, program, arrays)[0]):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a.astype(float), b.astype(float), atol=1e-4)
    return program


def test_keys_of_more_bits_than_a_word_has():
    """Three reals and a boolean: 190 bits, with ties in all but the last."""
    x, y, z = (RNG.integers(-2, 2, 40).astype(float) for _ in range(3))
    both(lambda *keys: jax.lax.sort((*keys, jnp.arange(40.0)), num_keys=4), [x, y > 0, z, RNG.permutation(40) * 1.0])


def test_numbers_at_the_ends_of_what_can_be_shared():
    x = np.array([-(2.0**26) + 1, 2.0**26 - 1, -(2.0**-18), 0.0, 2.0**-18, -5.25])
    both(jnp.sort, [x])
    both(jnp.sort, [np.array([-(2**63), 2**63 - 1, 0, -1, 1])])


def test_numbers_at_the_ends_are_found_at_secret_places():
    """Selecting is not a product that could overflow: large matrices too."""
    top = 2.0**26 - 1
    x = RNG.choice([-top, top, 2.0**25, -(2.0**-18), 0.5], (9, 8))
    i = RNG.integers(0, 9, 10)
    both(lambda v, j: (v[j], v.at[j[0]].set(top), v[jnp.argmax(v[:, 0])], v.at[j[0]].add(-v[j[0]])), [x, i])
    both(lambda j, w: jnp.bincount(j, w, length=9), [i[:3], np.array([top, -top, 1.0])])


def test_an_index_that_is_outside_along_one_axis_is_no_other_place():
    x = RNG.normal(size=(3, 4, 2))
    i, j = np.array([0, 1, 2, 0, -9]), np.array([0, 4, 3, -7, 1])
    both(lambda v, i, j: v.at[i, j].add(1.0), [x, i, j])
    both(lambda v, i, j: v.at[i, j].get(mode="fill", fill_value=0.0), [x, i, j])
    both(lambda v, i, j: (v[i, j], v[i, :, j], v.at[i, j, 1].set(2.0)), [x, np.array([2, 0]), np.array([1, 0])])


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 1), (2, 0)])
def test_arrays_with_nothing_to_sort(shape):
    both(lambda x: (jnp.sort(x), jnp.argsort(x)), [RNG.normal(size=shape)])


def test_what_is_known_to_be_small_is_sorted_by_fewer_bits():
    x = RNG.uniform(0, 1, 64)
    wide, narrow = (
        on_world(Aby3, trace(fn, [Spec((64,))]).program, [x])[1].bits
        for fn in (jnp.sort, lambda v: jnp.sort(within(v, 0, 1)))
    )
    assert narrow < wide / 2


def test_each_key_has_its_own_bits():
    """A small key beside a wide one costs what it would alone; a promise is refused that says more than is known."""
    x, y = RNG.integers(0, 8, 64), RNG.integers(-(2**40), 2**40, 64)
    one = trace(lambda x, y: jax.lax.sort((y, y), num_keys=1), [Spec((64,), "int64")] * 2).program
    two = both(lambda x, y: jax.lax.sort((within(x, 0, 7), y), num_keys=2), [x, y])
    wide, more = on_world(Aby3, one, [x, y])[1].bits, on_world(Aby3, two, [x, y])[1].bits
    assert more < 1.15 * wide
    bounds = next(e.attrs["bound"] for e in two.body.walk() if e.op == "order")
    assert bounds[0] == 3 < bounds[1]
    for false, message in (([2, 64], "proved"), ([3], "one for each"), (3, "bound")):
        with pytest.raises(ProgramError, match=message):
            check(parse(str(two).replace(f"bound={list(bounds)}", f"bound={false}")))


@pytest.mark.parametrize(
    "kinds", [(private(0), private(1)), (private(0), SECRET), (SECRET, private(2)), (PUBLIC, SECRET), (SECRET, PUBLIC)]
)
def test_keys_and_what_follows_them_of_different_owners(kinds):
    """An order that one party could make is made of shares if a secret follows it: an order itself is never shared."""
    arrays = [RNG.integers(0, 9, 20).astype(float), RNG.normal(size=20)]
    program = both(lambda x, y: jax.lax.sort((x, y), num_keys=1), arrays, list(kinds))
    assert all(e.outputs[0].type.dtype != "order" for e in program.body.walk() if e.op == "share")


def test_what_follows_from_the_range_of_an_order():
    """Rows shorter than columns: indices go up to the length of the axis that was sorted."""
    x = RNG.permutation(18).reshape(9, 2).astype(float)
    both(lambda x: (jnp.max(jnp.argsort(x, axis=0), axis=0), jnp.argsort(jnp.argsort(x, axis=0), axis=0)), [x])


def test_numbers_that_are_rounded_to_the_end_of_their_range():
    x = np.array([0.25, 1 - 2.0**-30, 0.5, 0.125])
    both(lambda x: (jnp.sort(within(x, 0, 1 - 2.0**-30)), jax.lax.top_k(within(x, 0, 1 - 1e-7), 2)), [x])
    both(lambda x: jnp.sort(jnp.concatenate([within(x, 0, 0.5), jnp.array([0.9999999])])), [x / 2])


def test_large_sums_are_sorted_as_they_are_compared():
    x = np.array([2.0**25, 1.0, -(2.0**25)])
    both(lambda x: jnp.sort(jnp.sum(jnp.broadcast_to(x, (2**14, 3)), 0) * 16.0), [x])


def test_unsigned_integers_that_fill_the_ring():
    both(jnp.sort, [np.array([1, 2**63 + 5, 2**63 - 1, 2**64 - 1, 0], np.uint64)])


@pytest.mark.parametrize("kind", [SECRET, private(1)])
def test_booleans_follow_a_public_order(kind):
    arrays = [RNG.integers(0, 4, 20), RNG.random(20) < 0.5]
    both(lambda k, b: jax.lax.sort((k, b), num_keys=1), arrays, [PUBLIC, kind])


def test_orders_in_loops():
    """What is sorted does not change from round to round, but an order is not brought in from outside."""
    k, x = RNG.permutation(6).astype(float), RNG.normal(size=6)
    both(lambda k, x: jax.lax.fori_loop(0, 3, lambda i, c: jax.lax.sort((k, c), num_keys=1)[1] + c, x), [k, x])
    both(
        lambda k, x: jnp.sort(k) + jax.lax.fori_loop(0, 2, lambda i, c: jax.lax.sort((k, c), num_keys=1)[1], x), [k, x]
    )


def test_orders_of_constants():
    b = RNG.normal(size=4)
    both(lambda b: jax.lax.sort((jnp.array([3, 1, 2, 0]), b), num_keys=1), [b])
    both(lambda b: jax.lax.sort((jnp.arange(4), b), num_keys=1), [b])
    both(lambda b: jax.lax.sort((b * 0.0, b), num_keys=1), [b])


def test_an_order_is_made_once():
    program = trace(lambda x: (jnp.sort(x), jnp.argsort(x), jnp.median(x)), [Spec((9,))])
    assert [e.op for e in program.program.body.walk()].count("order") == 1


HEAD = 'program "x"(\n  %0: i64[4] secret "a"\n  %1: fixed[4] secret "b"\n) {\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  %2: fixed[4] secret = take_order(%1, %0) {axis=0}\n  return %2\n}", "in the order"),
        ('  %2: order[4] secret = convert(%0) {dtype="order"}\n  return %2\n}', "dtype"),
        (
            "  %2: order[4] secret = order(%0) {axis=0, bound=null, descending=false}\n  return %2\n}",
            "returns an order",
        ),
        (
            "  %2: order[4] secret = order(%0) {axis=0, bound=null, descending=false}\n"
            "  %3: order[4] secret = add(%2, %2)\n  return %0\n}",
            "add of an order",
        ),
        (
            "  %2: order[4] secret = order(%0) {axis=0, bound=null, descending=false}\n"
            "  %3: order[8] secret = concat(%2, %2) {axis=0}\n  return %0\n}",
            "of an order",
        ),
    ],
)
def test_a_program_cannot_take_other_values_for_an_order(text, message):
    """Following one opens it in shuffled form, which would tell what other numbers are."""
    with pytest.raises(ProgramError, match=message):
        check(parse(HEAD + text))


def test_a_parameter_cannot_be_an_order():
    text = """program "x"(
      %0: order[4] secret "a"
    ) {
      %1: i64[4] secret = index_of(%0) {axis=0, dtype="i64"}
      return %1
    }"""
    with pytest.raises(ProgramError, match="parameter"):
        check(parse(text))

"""Groups against pandas, segments against JAX: on shares, and in plain JAX."""

from __future__ import annotations

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import argot
from argot import groups
from argot.errors import InputError
from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_plain, on_world
from argot.vm.ir import SECRET, private
from argot.vm.lower import Spec, trace, within

RNG = np.random.default_rng(11)


def everywhere(fn, arrays, visibilities=None):
    """The leaves of fn's result in plain JAX, by the reference, and on shares."""
    kinds = visibilities or [SECRET] * len(arrays)
    specs = [Spec(a.shape, a.dtype.name, v) for a, v in zip(arrays, kinds, strict=True)]
    traced = trace(fn, specs)
    with jax.enable_x64(True):
        clear = fn(*map(jnp.asarray, arrays))
        leaves, tree = jax.tree.flatten(clear)
    yield clear
    for found in (on_plain(traced.program, arrays), on_world(Aby3, traced.program, arrays)[0]):
        assert [a.dtype for a in found] == [np.asarray(x).dtype for x in leaves]
        yield jax.tree.unflatten(tree, found)


def reals(n, span=8):
    return np.round(RNG.uniform(-span, span, n) * 2**10) / 2**10


def check(keys, columns, size=None, visibilities=None):
    """Every aggregate of every column, as pandas has it, and nothing behind the last group."""
    names = [f"k{i}" for i in range(len(keys))]
    asked = [(c, how) for c in columns for how in groups.HOW]

    def fn(*arrays):
        ks, cs = arrays[: len(keys)], dict(zip(columns, arrays[len(keys) :], strict=True))
        return groups.group_by(ks, {f"{c} {how}": (cs[c], how) for c, how in asked}, size=size)

    frame = pd.DataFrame({**dict(zip(names, keys, strict=True)), **columns})
    by = frame.groupby(names, sort=True)
    wanted = {}
    for c, how in asked:
        if how in ("any", "all"):  # of what is not 0
            true = frame.assign(**{c: frame[c] != 0}).groupby(names, sort=True)[c]
            wanted[f"{c} {how}"] = getattr(true, how)().to_numpy()
        else:
            wanted[f"{c} {how}"] = getattr(by[c], how)().to_numpy()
    index = by.size().reset_index()
    rows = len(frame) if size is None else min(size, len(frame))
    for found in everywhere(fn, [*keys, *columns.values()], visibilities):
        here = min(rows, len(index))
        assert int(found.count) == len(index)
        np.testing.assert_array_equal(found.valid, np.arange(rows) < here)
        for name, key in zip(names, found.keys, strict=True):
            np.testing.assert_array_equal(key[:here], index[name][:here])
            assert not np.any(key[here:])
        for name, column in found.values.items():
            assert column.shape == (rows,) and not np.any(column[here:])
            exact = "mean" not in name
            tolerance = {"rtol": 0, "atol": 1e-9} if exact else {"rtol": 1e-4, "atol": 1e-4}
            np.testing.assert_allclose(
                np.asarray(column[:here], float), wanted[name][:here].astype(float), err_msg=name, **tolerance
            )


def test_ties_and_duplicates_of_every_dtype():
    n = 40
    check(
        [RNG.integers(-3, 3, n)],
        {"real": reals(n), "int": RNG.integers(-4, 5, n), "bool": RNG.random(n) < 0.6, "zero": np.zeros(n)},
    )


@pytest.mark.parametrize("key", [np.full(17, -5), np.zeros(1, np.int64), RNG.permutation(17) - 8, np.array([3, -3])])
def test_one_group_and_all_distinct(key):
    check([key], {"x": reals(len(key))})


@pytest.mark.parametrize("size", [0, 2, 5, 100])
def test_a_bound_on_groups(size):
    """More groups than rows: the last are dropped, and the count tells."""
    key = np.array([4, 1, 3, 1, 2, 2, 9])
    check([key], {"x": reals(7), "b": RNG.random(7) < 0.5}, size=size)


def test_no_rows():
    check([np.zeros(0, np.int64)], {"x": np.zeros(0), "b": np.zeros(0, bool)})


@pytest.mark.parametrize("visibilities", [None, [private(0), private(1), private(2), SECRET]])
def test_several_keys_of_several_owners(visibilities):
    n = 30
    keys = [RNG.integers(0, 2, n).astype(bool), RNG.integers(-1, 2, n) / 2, RNG.integers(-1, 1, n)]
    check(keys, {"x": reals(n)}, visibilities=visibilities)


def test_integers_of_any_size_are_summed_exactly():
    """Also where running sums leave the ring: they come back."""
    big = np.array([2**62, 2**62 + 1, 2**62 - 7, -5, 2**62, -(2**63)])
    key = np.array([1, 2, 3, 4, 5, 6])

    def fn(k, x):
        return groups.group_by(k, {"x": (x, "sum")}).values["x"]

    for found in everywhere(fn, [key, big]):
        np.testing.assert_array_equal(found, big)


def test_reals_are_summed_exactly_on_shares():
    """Running sums far above what a comparison takes, of numbers on the grid."""
    n = 64
    key = np.repeat([0, 1], n // 2)
    x = np.concatenate([np.full(n // 2, 2.0**20 + 2.0**-18), np.full(n // 2, 2.0**-18)])

    def fn(k, x):
        return groups.group_by(k, {"x": (x, "sum")}, size=2).values["x"]

    for found in everywhere(fn, [key, x]):
        np.testing.assert_array_equal(found, [2.0**25 + 2.0**-13, 2.0**-13])


def test_groups_without_values():
    key = np.array([2, 2, 7])
    for found in everywhere(lambda k: groups.group_by(k, {}), [key]):
        np.testing.assert_array_equal(found.keys[0], [2, 7, 0])
        assert found.values == {}


@pytest.mark.parametrize(("count", "shape"), [(1, ()), (5, (3,)), (40, ())])
def test_segments(count, shape):
    """Segments without rows, by a one-hot code and by a sort."""
    n = 30
    ids, x = RNG.integers(0, max(count - 2, 1), n), reals(3 * n).reshape(n, 3)[:, slice(None) if shape else 0]

    def fn(x, s):
        largest, smallest = groups.segment_max(x, s, count, empty=-9), groups.segment_min(x, s, count)
        return groups.segment_sum(x, s, count), largest, smallest

    with jax.enable_x64(True):
        total, most, least = (
            np.asarray(of(jnp.asarray(x), jnp.asarray(ids), count))
            for of in (jax.ops.segment_sum, jax.ops.segment_max, jax.ops.segment_min)
        )
    wanted = total, np.where(np.isinf(most), -9, most), np.where(np.isinf(least), 0, least)
    for found in everywhere(fn, [x, ids]):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_segments_of_no_rows():
    for found in everywhere(lambda x, s: groups.segment_sum(x, s, 20), [np.zeros(0), np.zeros(0, np.int64)]):
        np.testing.assert_array_equal(found, np.zeros(20))


def test_what_is_sent_does_not_depend_on_the_groups():
    """The same messages of the same sizes, whatever the keys are."""

    def fn(k, x):
        return groups.group_by(k, {"total": (x, "sum"), "most": (x, "max")}, size=8)

    program = trace(fn, [Spec((40,), "int64"), Spec((40,))]).program
    keys = np.zeros(40, np.int64), np.arange(40), RNG.integers(0, 4, 40)
    worlds = [on_world(Aby3, program, [k, reals(40)])[1] for k in keys]
    assert worlds[0].traffic == worlds[1].traffic == worlds[2].traffic
    assert worlds[0].rounds == worlds[1].rounds == worlds[2].rounds


def test_a_promised_key_costs_less():
    def fn(k, x):
        return groups.group_by(k, {"x": (x, "sum")}, size=8).values["x"]

    key, x = RNG.integers(0, 8, 60), reals(60)
    specs = [Spec((60,), "int64"), Spec((60,))]
    wide, narrow = (
        on_world(Aby3, trace(f, specs).program, [key, x])[1].bits for f in (fn, lambda k, x: fn(within(k, 0, 255), x))
    )
    assert narrow < wide / 2


@pytest.mark.parametrize(
    ("keys", "values", "size", "message"),
    [
        ([], {}, None, "without a key"),
        ([np.zeros((3, 2))], {}, None, "shape"),
        ([np.zeros(3)], {"x": (np.zeros(4), "sum")}, None, "x of shape"),
        ([np.zeros(3)], {"x": (np.zeros(3), "median")}, None, "median"),
        ([np.zeros(3)], {}, -1, "bound"),
    ],
)
def test_what_is_refused(keys, values, size, message):
    with pytest.raises(InputError, match=message):
        groups.group_by(keys, values, size=size)


def test_segments_that_are_refused():
    with pytest.raises(InputError, match="values"):
        groups.segment_sum(np.zeros(3), np.zeros(4, int), 2)
    with pytest.raises(InputError, match="dtype"):
        groups.segment_max(np.zeros(3), np.zeros(3), 2)


def test_groups_of_owners_on_a_device():
    """Keys of one party, values of another, at real parties: what is revealed is the table, and its mask."""
    with argot.local("alice", "bob", "carol") as fed:
        alice, bob, carol = fed.parties
        key = argot.device(alice)(lambda: np.array([3, 1, 3, 3]))()
        paid = argot.device(bob)(lambda: np.array([0.5, 2.0, 1.0, -4.0]))()

        def by_key(k, x):
            return groups.group_by(within(k, 0, 7), {"most": (x, "max"), "total": (x, "sum")}, size=3)

        found = argot.reveal(argot.device(fed.mpc(*fed.parties))(by_key)(key, paid), to=carol)
        keys, values, valid, count = found.value()
        np.testing.assert_array_equal(keys[0], [1, 3, 0])
        np.testing.assert_array_equal(values["total"], [2.0, -2.5, 0.0])
        np.testing.assert_array_equal(values["most"], [2.0, 1.0, 0.0])
        np.testing.assert_array_equal(valid, [True, True, False])
        assert int(count) == 2


def test_the_example():
    assert doctest.testmod(groups).attempted and not doctest.testmod(groups).failed

"""Declared ranges in a federation of processes: narrow programs, refused data, warnings of overflows."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import argot
from argot.errors import EncodeError, InputError, RangeWarning, TraceError

NAMES = ("alice", "bob", "carol")


@pytest.fixture(scope="module")
def fed():
    with argot.local(*NAMES) as federation:
        yield federation


@pytest.fixture(scope="module")
def mpc(fed):
    return fed.mpc(*fed.parties)


def at(place, function, *args, returns=None):
    return argot.device(place, returns=returns)(function)(*args)


def bounds(handle, op):
    """The promises of a handle's program."""
    handle.wait()
    return [e.attrs["bound"] for e in handle.ref.product.record.program.body.walk() if e.op == op]


def value(handle):
    return np.asarray(argot.reveal(handle, to="bob"))


def both(fed, returns=None):
    """A value of alice, with or without a declared range, and one of bob."""
    mine = at(fed["alice"], lambda: np.array([0.25, 0.5, 4.0]), returns=returns)
    return mine, at(fed["bob"], lambda: np.array([0.5, 0.25, 3.0]), returns=returns)


def test_a_declared_range_makes_comparisons_narrow(fed, mpc):
    less = lambda x, y: x < y  # noqa: E731
    wide, narrow = (at(mpc, less, *both(fed, r)) for r in (None, argot.spec(3, low=0, high=5)))
    assert bounds(wide, "lt") == [None] and bounds(narrow, "lt") == [3]
    assert value(wide).tolist() == value(narrow).tolist() == [True, False, False]


def test_ranges_last_in_parts_of_trees_and_in_sorting(fed, mpc):
    tree = {"x": argot.spec(4, low=0, high=1), "y": (argot.spec(4, "int64", low=0, high=100), argot.spec())}
    h = at(fed["alice"], lambda: {"x": np.linspace(1, 0, 4), "y": (np.arange(4), 3.0)}, returns=tree)
    other = at(fed["bob"], lambda: np.full(4, 0.5), returns=argot.spec(4, low=0, high=1))
    assert "in [0, 1]" in repr(h["x"]) and h["y"][0].schema.high == 100 and h.schema.items[0].low == 0
    ordered = at(mpc, lambda x, y: jnp.sort(x * y), h["x"], other)
    assert bounds(ordered, "order") == [(1,)]
    np.testing.assert_allclose(value(ordered), np.linspace(0, 0.5, 4), atol=1e-4)
    whole = at(mpc, lambda t, y: (t["y"][0] < 7) & (t["x"] > y), h, other)
    assert sorted(bounds(whole, "lt")) == [1, 7] and value(whole).tolist() == [True, True, False, False]


def test_ranges_of_a_tables_columns(fed, mpc, tmp_path):
    for name, column in (("alice", "age"), ("bob", "income")):
        rows = "\n".join(f"{i},{10 * i + 5},t" for i in range(1, 6))
        (tmp_path / f"{name}.csv").write_text(f"id,{column},text\n{rows}\n")
    one, two = (
        argot.frame.read(fed[name], str(tmp_path / f"{name}.csv"), text=["text"], ranges={column: (0, 120)})
        for name, column in (("alice", "age"), ("bob", "income"))
    )
    joined = argot.frame.join(one[["id", "age"]], two[["id", "income"]], on="id")
    assert joined["age"].schema.high == 120
    less = at(mpc, lambda x, y: x <= y, joined["age"], joined["income"])
    assert bounds(less, "lt") == [7] and value(less).all()
    for ranges, what in (
        ({"age": (0, 30)}, "'age'] at index (4) is 55"),
        ({"text": (0, 1)}, "str"),
        ({"a": (0, 1)}, "one of id, age"),
    ):
        with pytest.raises(InputError) as caught:
            fed["alice"].table(str(tmp_path / "alice.csv"), ranges=ranges).wait()
        assert what in str(caught.value)
    with pytest.raises(InputError, match="low <= high"):
        fed["alice"].table("x", ranges={"age": (3, 2)})


def test_data_outside_is_refused_where_it_is(fed, mpc):
    bad = at(fed["alice"], lambda: np.array([0.5, 7.125]), returns=argot.spec(2, low=0, high=1))
    on_shares = at(mpc, lambda x: x + 1.0, bad)
    with pytest.raises(InputError, match=r"index \(1\) is 7\.125") as caught:  # this driver acts for alice
        bad.wait()
    assert caught.value.party == "alice" and "test_ranges.py" in caught.value.where
    with pytest.raises(InputError):
        on_shares.wait()


def test_a_range_is_checked_after_the_shape(fed):
    with pytest.raises(InputError, match=r"float64\[3\]") as caught:
        at(fed["alice"], lambda: np.full(3, 9.0), returns=argot.spec(2, low=0, high=1)).wait()
    assert "9.0" not in str(caught.value)


def test_a_range_is_not_declared_of_a_secret(fed, mpc):
    with pytest.raises(InputError, match=r"range declared of a result of mpc") as caught:
        argot.device(mpc, returns=(argot.spec(2), argot.spec(2, low=0)))
    assert "argot.within" in caught.value.todo


def test_revealed_saved_and_used_again(fed, mpc):
    x = at(fed["alice"], lambda: np.array([0.25, 0.5]), returns=argot.spec(2, low=0, high=1))
    told = argot.reveal(x, to="bob")
    assert told.schema == argot.spec(2) and told.value().tolist() == [0.25, 0.5]
    fed.save(x, "ranged")
    again = fed["alice"].load("ranged")
    assert again.schema == argot.spec(2, low=0, high=1)
    twice = at(mpc, lambda x, y: x + y < 1, again, told)
    assert bounds(twice, "lt") == [None] and value(twice).tolist() == [True, False]


def test_overflows_are_warned_of_before_the_run(fed, mpc):
    def gram(x, y):
        return x.T @ (x * y)

    line = gram.__code__.co_firstlineno + 1
    inputs = [
        at(fed[name], lambda: np.full((10, 2), 90.0), returns=argot.spec((10, 2), low=-9000, high=9000))
        for name in ("alice", "bob")
    ]
    with pytest.warns(RangeWarning, match=r"gram may be in \[.*beyond 2\^26") as told:
        handle = at(mpc, gram, *inputs)
        handle.wait()
        at(mpc, gram, *inputs).wait()  # not traced again, nor said again
    assert len(told) == 1 and told[0].lineno == line and told[0].filename == "test_ranges.py"
    assert "argot.spec" in str(told[0].message) and "ring=128" in str(told[0].message)
    np.testing.assert_allclose(value(handle), 10 * 90.0**3, rtol=1e-3)  # what there is of data is small enough
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide = fed.mpc(*fed.parties, ring=128)
        np.testing.assert_allclose(value(at(wide, gram, *inputs)), 10 * 90.0**3)


def test_a_warning_becomes_an_error_as_any_other(fed, mpc):
    x = at(fed["alice"], lambda: np.ones(3), returns=argot.spec(3, low=0, high=2**20))
    y = at(fed["bob"], lambda: np.ones(3), returns=argot.spec(3, low=0, high=2**20))
    with warnings.catch_warnings():
        warnings.simplefilter("error", RangeWarning)
        for _ in range(2):
            with pytest.raises(TraceError, match="beyond 2") as caught:
                at(mpc, lambda a, b: a * b, x, y).wait()
            assert isinstance(caught.value.__cause__, RangeWarning)


def test_data_that_cannot_be_encoded_is_warned_of(fed, mpc):
    x = at(fed["alice"], lambda: np.full(3, 2.0**30), returns=argot.spec(3, low=0, high=2**31))
    with pytest.warns(RangeWarning, match="within in add_one"):

        def add_one(x):
            return x + 1

        handle = at(mpc, add_one, x)
        with pytest.raises(EncodeError):
            handle.wait()

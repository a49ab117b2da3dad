"""Declared ranges: what may be declared, and what of it a value keeps."""

import math

import numpy as np
import pandas as pd
import pytest

from argot.devices.ranges import check
from argot.devices.schema import (
    Columns,
    Fields,
    Items,
    Opaque,
    Table,
    Tensor,
    declared,
    describe,
    is_ranged,
    leaves,
    resolve,
    same,
    spec,
    with_ranges,
    without_ranges,
)
from argot.errors import InputError


def test_a_range_is_part_of_the_schema_and_shown():
    assert spec(3, low=0, high=1) == Tensor("float64", (3,), 0.0, 1.0) != spec(3)
    assert str(spec((2, 3), low=-1.5, high=120)) == "float64[2, 3] in [-1.5, 120]"
    assert str(spec(low=0)) == "float64[] in [0, inf]" and str(spec(high=0)) == "float64[] in [-inf, 0]"
    assert spec(3, low=-math.inf, high=math.inf) == spec(3) and spec(3, low=np.float32(0.5)).low == 0.5


def test_limits_of_large_integers_are_rounded_outwards():
    found = spec(3, "int64", low=-(2**60) - 1, high=2**60 + 1)
    assert found.low < -(2**60) - 1 + 1 and found.low <= -(2**60) - 1 and found.high >= 2**60 + 1
    assert spec(3, "int64", low=0, high=10**400).high is None


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("float64", 1, 0),
        ("float64", math.nan, 1),
        ("float64", 0, math.nan),
        ("float64", math.inf, None),
        ("float64", None, -math.inf),
        ("bool", 0, 1),
        ("float64", "0", 1),
        ("float64", False, True),
        ("int64", 1j, 2),
    ],
)
def test_what_is_no_range(dtype, low, high):
    with pytest.raises(InputError, match="range"):
        spec(3, dtype, low=low, high=high)


def test_no_range_of_text():
    with pytest.raises(InputError, match="cannot be declared"):
        spec(3, "str", low=0, high=1)


SCHEMA = declared({"a": spec(3, low=0, high=1), "b": (spec(2, "int64", low=0), Opaque())})
TABLE = Table((("age", "int64"), ("name", "str"), ("bmi", "float64")), 2, (("age", 0, 120), ("bmi", 10.0, None)))


def test_parts_keep_their_ranges():
    assert resolve(SCHEMA, ("a",)) == spec(3, low=0, high=1) and resolve(SCHEMA, ("b", 0)).low == 0
    assert resolve(TABLE, ("age",)) == Tensor("int64", (2,), 0, 120)
    assert resolve(TABLE, (("bmi", "name"), "bmi")) == Tensor("float64", (2,), 10.0, None)
    assert [leaf.high for _, leaf in leaves(TABLE)] == [120, None, None]


def test_ranges_are_no_part_of_what_a_value_looks_like():
    value = {"a": np.array([0.0, 0.5, 1.0]), "b": (np.array([1, 2]), "text")}
    assert same(describe(value), SCHEMA) and not same(describe({"a": np.zeros(2), "b": value["b"]}), SCHEMA)
    kept = with_ranges(describe(value), SCHEMA)
    assert resolve(kept, ("a",)) == spec(3, low=0, high=1) and str(resolve(kept, ("b", 1))) == "str"
    assert without_ranges(kept) == describe(value) and is_ranged(kept) and not is_ranged(describe(value))
    assert without_ranges(TABLE) == Table(TABLE.columns, 2) and isinstance(without_ranges(SCHEMA), Fields)
    assert with_ranges(Items((spec(3),)), Opaque()) == Items((spec(3),))


@pytest.mark.parametrize(
    ("array", "index"),
    [
        ([0.0, 0.5, 1.0], None),
        ([-1e-12, 0.5, 1.0], "(0)"),
        ([0.0, 7.25, 1.0], "(1)"),
        ([0.0, 0.5, math.nan], "(2)"),
        ([math.inf, 0.5, 0.0], "(0)"),
        ([math.nan] * 3, "(0)"),
    ],
)
def test_elements_outside_are_named(array, index):
    schema = declared((spec(3, low=0, high=1),))
    if index is None:
        check((np.array(array),), schema)
        return
    with pytest.raises(InputError) as caught:
        check((np.array(array),), schema)
    assert f"of [0] at index {index}" in caught.value.what and "[0, 1]" in caught.value.wanted


def test_integers_are_compared_exactly():
    top = 2**62
    check(np.array([top]), spec(1, "int64", high=top))
    with pytest.raises(InputError):
        check(np.array([top + 1]), spec(1, "int64", high=top))
    with pytest.raises(InputError, match="18446744073709551615"):
        check(np.array([2**64 - 1], np.uint64), spec(1, "uint64", low=0, high=2**63))


def test_scalars_empty_arrays_frames_and_series():
    check(np.zeros((0, 3)), spec((0, 3), low=5, high=6))
    with pytest.raises(InputError, match="the value is 2"):
        check(2, spec((), "int64", low=3))
    frame = pd.DataFrame({"age": [3, 130], "name": ["a", "b"], "bmi": [20.0, 30.0]})
    for table in (frame, Columns(dict(frame.items()))):
        with pytest.raises(InputError, match=r"\['age'\] at index \(1\) is 130"):
            check(table, TABLE)
    check(pd.Series([1.0, 2.0]), spec(2, low=1, high=2))
    with pytest.raises(InputError):
        check(pd.Series([1.0, np.nan]), spec(2, low=1, high=2))

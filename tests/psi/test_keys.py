"""Reading the keys of a table: what is accepted, what is refused and how."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from argot.errors import InputError
from argot.psi.keys import Keys, read_keys


def same(first: Keys, second: Keys) -> bool:
    return first.kinds == second.kinds and np.array_equal(first.items, second.items)


@pytest.mark.parametrize(
    "column",
    [
        np.array(["x1", "ü", ""]),
        np.array(["x1", "ü", ""], object),
        pd.Series(["x1", "ü", ""]),
        pd.Series(["x1", "ü", ""], dtype="string"),
        pd.Series(["x1", "ü", ""], dtype=object, index=[5, 6, 7]),
        pd.Series(["x1", "ü", ""], dtype="category"),
        ("x1", "ü", ""),
    ],
)
def test_text_is_the_same_from_every_container(column: object) -> None:
    assert same(read_keys(column), read_keys(["x1", "ü", ""]))


@pytest.mark.parametrize(
    "column",
    [
        np.array([7, 0, 200], np.uint8),
        np.array([7, 0, 200], np.int32),
        np.array([7, 0, 200], ">i8"),
        np.array([0, 7, 0, 0, 200], np.uint64)[[1, 2, 4]],
        np.array([7, 1, 0, 1, 200, 1])[::2],
        pd.Series([7, 0, 200]),
        pd.Series([7, 0, 200], dtype="Int64"),
        pd.Series([7, 0, 200], dtype=object),
        [np.int64(7), np.uint8(0), 200],
    ],
)
def test_integers_are_the_same_at_every_width(column: object) -> None:
    assert same(read_keys(column), read_keys([7, 0, 200]))


def test_columns_count_by_order_and_type() -> None:
    names, days = ["ann", "ann", "bo"], [1, 2, 1]
    keys = read_keys(names, days)
    assert keys.kinds == ("text", "integer")
    assert len(keys) == 3
    assert not same(keys, read_keys(days, names))
    assert "ann" not in repr(keys)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ((), "no key column"),
        ((["a"], ["b", "c"]), "different lengths"),
        ((np.zeros((2, 2), int),), r"shape \(2, 2\)"),
        (([1.0, 2.0],), "key column 0 has float, first in row 0"),
        ((np.array([1.0, np.nan]),), "of float64"),
        ((np.array(["2020-01-01"], "datetime64[D]"),), "of datetime64"),
        ((np.array([True]),), "of bool"),
        (
            (["a", "b"], pd.Series(["x", None], dtype="string")),
            "key column 1 has .* in a column of text, first in row 1",
        ),
        ((pd.Series([1, None], dtype="Int64"),), "integers with values missing are read as floats"),
        ((pd.Series([1, None], dtype=object),), "key column 0 has NoneType in a column of integer, first in row 1"),
    ],
)
def test_what_is_no_key_is_refused(columns: tuple, text: str) -> None:
    with pytest.raises(InputError, match=text):
        read_keys(*columns)


def test_messages_name_the_column() -> None:
    with pytest.raises(InputError, match="key column 'year' is of float64"):
        read_keys(["a"], np.array([1.0]), names=("name", "year"))
    with pytest.raises(InputError, match="key column 'name' has NoneType in a column of text, first in row 1"):
        read_keys(["a", None], np.array([1, 2]), names=("name", "year"))


def test_duplicates_are_counted_and_a_few_rows_named() -> None:
    names = [f"customer {i % 90}" for i in range(100)]
    with pytest.raises(InputError) as caught:
        read_keys(names)
    assert "10 of 100 rows have the key of an earlier row: 90 (as 0), 91 (as 1)" in str(caught.value)
    assert "94 (as 4), ..." in str(caught.value)
    assert "95" not in str(caught.value)
    assert "customer" not in str(caught.value)
    assert len(read_keys(names, list(range(100)))) == 100

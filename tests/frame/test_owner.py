import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argot.demo.tables import breast_cancer
from argot.devices.schema import Columns
from argot.errors import InputError
from argot.frame import owner


def test_reads_what_pandas_reads():
    path = breast_cancer().bob
    ours, theirs = owner.read_csv(str(path)), pd.read_csv(path)
    assert list(ours) == list(theirs.columns)
    for name, column in ours.items():
        assert column.tolist() == theirs[name].tolist(), name


def test_types_and_text_columns(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,n,x,s\n007,1,1.5,"a,b"\n008,2,,c\n')
    table = owner.read_csv(str(path), text=["id"])
    assert table["id"].tolist() == ["007", "008"]
    assert table["n"].dtype == np.int64
    assert table["x"].dtype == np.float64 and np.isnan(table["x"][1])
    assert table["s"].tolist() == ["a,b", "c"]
    assert owner.write_csv(table, str(tmp_path / "u.csv")) == 2
    again = owner.read_csv(str(tmp_path / "u.csv"), text=["id"])
    assert again["s"].tolist() == ["a,b", "c"]


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        (None, None, "no file"),
        ("", None, "is empty"),
        ("a,b\n1,2\n3\n", None, "line 3 .* has 1 cells"),
        ("a,a\n1,2\n", None, "names a column twice: a"),
        ("a,b\n1,2\n", ["c"], "no column 'c'"),
    ],
)
def test_bad_files_are_named(tmp_path, text, columns, message):
    path = tmp_path / "t.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=message):
        owner.read_csv(str(path), columns)


def test_matrix_names_the_column_that_is_not_numeric():
    table = Columns({"a": np.array([1, 2]), "b": np.array(["secret-cell", "y"])})
    with pytest.raises(InputError, match="not numeric: b") as caught:
        owner.matrix(table, ["a", "b"])
    assert "secret-cell" not in str(caught.value)
    np.testing.assert_array_equal(owner.matrix(table, ["a"]), [[1.0], [2.0]])


@given(st.integers(2, 200), st.integers(0, 2**32), st.floats(0.1, 0.9))
def test_split_is_a_partition_and_the_same_at_both_owners(rows, seed, size):
    ours, theirs = Columns({"a": np.arange(rows)}), Columns({"b": np.arange(rows) * 10})
    (train, test), (train_b, test_b) = owner.split(ours, size, seed), owner.split(theirs, size, seed)
    assert sorted([*train["a"], *test["a"]]) == list(range(rows))
    assert len(test["a"]) == round(rows * size)
    np.testing.assert_array_equal(train["a"] * 10, train_b["b"])
    np.testing.assert_array_equal(test["a"] * 10, test_b["b"])

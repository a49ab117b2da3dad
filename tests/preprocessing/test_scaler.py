import re

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from argot.agent.failures import UserError, crossing, with_detail
from argot.devices.schema import Columns
from argot.errors import InputError
from argot.frame import owner
from argot.preprocessing import scaler


def test_as_scikit_learn():
    rng = np.random.default_rng(0)
    x, new = rng.normal(3, 2, (50, 4)), rng.normal(3, 2, (9, 4))
    x[:, 3] = 7.0
    fitted = scaler.fit(x)
    np.testing.assert_allclose(scaler.transform(new, fitted), StandardScaler().fit(x).transform(new))


def test_outliers_are_clipped():
    fitted = scaler.fit(np.array([[0.0], [1.0]]))
    assert scaler.transform(np.array([[1e9]]), fitted) == scaler.LIMIT


def test_bad_cells_are_told_by_column_and_row():
    x = np.ones((5, 3))
    x[2, 1] = np.nan
    x[4, 1] = x[0, 2] = np.inf
    message = r"column 'age' \(rows 2, 4\), column 'debt' \(row 0\)$"
    with pytest.raises(InputError) as caught:
        scaler.fit(x, ["id", "age", "debt"])
    assert re.search(message, caught.value.what)
    fitted = scaler.fit(np.ones((2, 3)))
    with pytest.raises(InputError, match=r"column 1 \(rows 2, 4\), column 2 \(row 0\)"):
        scaler.transform(x, fitted)
    with pytest.raises(InputError, match="2 columns"):
        scaler.transform(np.ones((2, 2)), fitted)


def test_many_rows_are_counted():
    with pytest.raises(InputError, match="rows 0, 1, 2, 3, 4 and 95 more"):
        scaler.fit(np.full((100, 1), np.nan))


def test_rows_are_numbered_as_before_the_splits():
    table = Columns({"x": np.where(np.arange(40) == 17, np.nan, np.arange(40.0)), "y": np.arange(40) % 2})
    table["y"][17] = 7
    first = owner.split(table, 0.5, 3)
    half = int(np.isnan(first[1]["x"]).any())
    second = owner.split(first[half], 0.25, 4)
    quarter = int(np.isnan(second[1]["x"]).any())
    assert np.flatnonzero(np.isnan(second[quarter]["x"])).tolist() != [17]
    found = second[quarter]
    splits = [(40, 0.5, 3, half), (20, 0.25, 4, quarter)]
    with pytest.raises(InputError, match=r"\(row 17\)"):
        scaler.fit(owner.matrix(found, ["x"]), ["x"], splits)
    with pytest.raises(InputError, match=r"1 of 5 labels are neither 0 nor 1: row 17\b"):
        scaler.labels(found["y"], splits=splits)


def test_numbers_that_cannot_be_squared_are_refused():
    with pytest.raises(InputError, match="too large in column 'b'"):
        scaler.fit(np.array([[1.0, 1e200], [2.0, -1e200]]), ["a", "b"])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32])
def test_labels_of_two_classes_become_reals(dtype):
    found = scaler.labels(np.array([0, 1, 1], dtype))
    assert found.dtype == np.float64 and found.tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 2], "2 of 3 labels in column 'y' are neither 0 nor 1: rows 1, 2"),
        ([-1, 1, -1], "rows 0, 2"),
        ([0.0, 1.0, np.nan], "row 2"),
        ([0.0, 0.5, np.inf], "rows 1, 2"),
        ([1, 1, 1], "all 3 labels in column 'y' are 1"),
        (["no", "yes"], "labels in column 'y' of dtype str"),
    ],
)
def test_other_labels_are_refused(labels, message):
    with pytest.raises(InputError, match=message) as caught:
        scaler.labels(np.array(labels), "y")
    assert "0 and 1" in caught.value.wanted


def test_what_is_said_of_bad_labels_stays_with_their_owner():
    with pytest.raises(InputError) as caught:
        scaler.labels(np.array([0, 1, 37]), "diagnosis")
    error = UserError(caught.value, "scaler.py:1")
    told = crossing(error, party="bob", node="n3", where="job.py:9", title="labels", ref="ab12")
    assert told.code == "InputError" and told.party == "bob"
    said = str(told)
    assert "diagnosis" not in said and "neither" not in said and "37" not in said and "row" not in said
    assert "diagnosis" in with_detail(told, error).detail.what

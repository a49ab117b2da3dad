import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from argot.errors import InputError
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


def test_nan_is_told_by_column_and_row():
    x = np.ones((5, 3))
    x[2, 1] = np.nan
    with pytest.raises(InputError, match=r"column 1 \(first in row 2\)"):
        scaler.fit(x)
    with pytest.raises(InputError, match="2 columns"):
        scaler.transform(np.ones((2, 2)), scaler.fit(np.ones((2, 3))))

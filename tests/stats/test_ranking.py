import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score, roc_curve

from argot.errors import InputError
from argot.stats import ranking


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=2, max_size=60).filter(
        lambda rows: {0, 1} <= {label for label, _ in rows}
    )
)
def test_as_scikit_learn_with_many_ties(rows):
    label, score = np.array(rows).T
    assert ranking.auc(label, score) == pytest.approx(roc_auc_score(label, score))
    false_rate, rate, thresholds = ranking.roc_curve(label, score)
    for ours, theirs in zip(
        (false_rate, rate, thresholds), roc_curve(label, score, drop_intermediate=False), strict=True
    ):
        np.testing.assert_allclose(ours, theirs)
    with warnings.catch_warnings(action="ignore"):  # of its p-value, for few rows
        wanted = ks_2samp(score[label == 1], score[label == 0], method="asymp").statistic
    assert ranking.ks(label, score) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("label", "score", "message"),
    [([0, 1], [1.0], "2 labels and 1 scores"), ([1, 1], [0.1, 0.2], "one class"), ([0, 2], [0.1, 0.2], "other than")],
)
def test_bad_input_is_named(label, score, message):
    with pytest.raises(InputError, match=message):
        ranking.auc(label, score)

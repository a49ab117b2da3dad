"""The five algorithms of the example find on shares what scikit-learn finds."""

from __future__ import annotations

import pytest
from example_scripts import example


@pytest.fixture(scope="module")
def found():
    return example("algorithms").run()


@pytest.mark.parametrize(
    "name", ["k-means", "principal components", "ridge regression", "naive Bayes", "nearest neighbours"]
)
def test_agrees_with_scikit_learn(found, name):
    assert found[name]["off"] < 1e-3

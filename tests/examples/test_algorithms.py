"""The five algorithms of the example find on shares what scikit-learn finds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "algorithms.py"


@pytest.fixture(scope="module")
def found():
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    del sys.modules[spec.name]  # agents cannot import it: its functions travel whole, as those of a script do
    return module.run()


@pytest.mark.parametrize(
    "name", ["k-means", "principal components", "ridge regression", "naive Bayes", "nearest neighbours"]
)
def test_agrees_with_scikit_learn(found, name):
    assert found[name]["off"] < 1e-3

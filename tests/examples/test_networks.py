"""The examples with neural networks, small: they learn on shares what they learn in the clear."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    del sys.modules[name]  # agents cannot import it: its functions travel whole, as those of a script do
    return module


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_digits(model):
    found = example("digits").run(model, rows=300, epochs=2)
    assert found["accuracy_plain"] > 0.5
    assert abs(found["accuracy"] - found["accuracy_plain"]) < 0.03


def test_transformer():
    found = example("transformer").run(rows=40)
    assert found["accuracy_plain"] > 0.8 and found["accuracy"] >= found["accuracy_plain"] - 0.05
    assert found["max_diff"] < 0.2

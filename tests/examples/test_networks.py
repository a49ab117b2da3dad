"""The examples with neural networks, small: they learn on shares what they learn in the clear."""

from __future__ import annotations

import numpy as np
import pytest
from example_scripts import example

import argot


@pytest.fixture(scope="module")
def digits():
    return example("digits")


@pytest.fixture(scope="module")
def fed():
    with argot.local("alice", "bob", "carol") as fed:
        yield fed


@pytest.mark.parametrize("model", ["mlp", "cnn", "nnx"])
def test_digits(digits, fed, model):
    found = digits.measure(fed, model, rows=300, epochs=2)
    assert found["accuracy_plain"] > 0.5
    assert abs(found["accuracy"] - found["accuracy_plain"]) < 0.03


@pytest.mark.parametrize("optimize", ["sgd", "adam", "amsgrad"])
def test_optimizers(digits, fed, optimize):
    found = digits.measure(fed, "mlp", rows=200, epochs=2, optimize=optimize)
    assert found["accuracy_plain"] > 0.4
    assert abs(found["accuracy"] - found["accuracy_plain"]) < 0.03


def test_pictures_of_the_shape_of_mnist(digits, fed):
    pictures, labels = digits.scans("shaped", 60, 0)
    again, _ = digits.scans("shaped", 60, 0)
    assert pictures.shape == (30, 784) and labels.shape == (30, 10) and np.array_equal(pictures, again)
    found = digits.measure(fed, "mlp", rows=500, epochs=2, data="shaped")
    assert found["accuracy_plain"] > 0.3
    assert abs(found["accuracy"] - found["accuracy_plain"]) < 0.05


def test_transformer():
    found = example("transformer").run(rows=40)
    assert found["accuracy_plain"] > 0.8 and found["accuracy"] >= found["accuracy_plain"] - 0.05
    assert found["max_diff"] < 0.2

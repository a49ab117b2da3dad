"""Devices that repeat every call in the clear."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest

import argot
from argot.errors import ClearMismatch, ConfigError


def numbers(scale):
    import numpy

    return {"a": scale * numpy.arange(1.0, 7.0).reshape(2, 3), "b": numpy.array([True, False])}


@pytest.fixture(scope="module")
def fed():
    with argot.local("alice", "bob", "carol") as federation:
        federation.mpc(*federation.parties, name="checked", check="plain")
        yield federation


def test_what_is_right_passes_and_what_overflows_is_named(fed):
    checked, alice, bob = fed.place("checked"), fed["alice"], fed["bob"]

    @argot.device(checked)
    def products(x, y):
        def step(c, row):
            return c + row, c * row

        total, rows = jax.lax.scan(step, jnp.zeros(3), x["a"] + y["a"])
        return {"rows": rows, "chosen": jnp.where(x["b"], total[0], total[1])}

    x, y = argot.device(alice)(numbers)(1.0), argot.device(bob)(numbers)(2.0)
    found = products(x, y)
    assert fed.reveal(found["rows"], to=alice).value().tolist() == [[0, 0, 0], [36, 90, 162]]
    assert any("alice" in str(line) for line in fed.report().learned)  # the check reveals
    large = argot.device(alice)(numbers)(5000.0)
    with pytest.raises(ClearMismatch, match=r"mul in round 1 gives .* in the clear") as error:
        products(large, argot.device(bob)(numbers)(0.0))
    assert error.value.where.startswith("test_checking.py:")


def test_secrets_of_the_device_are_checked_too(fed):
    checked = fed.place("checked")
    twice = argot.device(checked)(lambda x: 2 * x["a"])
    first = twice(argot.device(fed["alice"])(numbers)(1.0))
    assert fed.reveal(argot.device(checked)(jnp.sum)(first), to="bob").value() == 42


def test_a_check_that_is_not_possible_is_refused(fed, monkeypatch):
    with pytest.raises(ConfigError, match="check='no'"):
        fed.mpc(*fed.parties, check="no")
    monkeypatch.setattr(fed, "embedded", False)
    with pytest.raises(ConfigError, match="reveals all inputs"):
        fed.mpc(*fed.parties, check="plain")

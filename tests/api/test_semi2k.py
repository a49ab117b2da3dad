"""Two parties and a dealer on real agents, and the choice of a protocol."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import argot
from argot.errors import ConfigError, UnknownNameError


@pytest.fixture(scope="module")
def federation():
    with argot.local("alice", "bob", "carol", "dave") as fed:
        yield fed


@pytest.fixture(scope="module")
def device(federation):
    alice, bob, _, dave = federation.parties
    return federation.mpc(alice, bob, protocol="semi2k", dealer=dave)


X = np.linspace(-3.0, 3.0, 12).reshape(3, 4)


def test_two_parties_and_a_dealer_run_a_program(federation, device):
    alice, bob, *_ = federation.parties
    x, y = argot.device(alice)(lambda: X)(), argot.device(bob)(lambda: X.T)()

    @argot.device(device)
    def program(x, y):
        return jax.nn.sigmoid(x @ y), jnp.sort(x, axis=1)[:, ::-1], jnp.where(x > 0, 1 / (1 + x), x)

    results = [argot.reveal(part, to=alice).value() for part in program(x, y)]
    wanted = [1 / (1 + np.exp(-(X @ X.T))), -np.sort(-X, axis=1), np.where(X > 0, 1 / (1 + X), X)]
    for found, want in zip(results, wanted, strict=True):
        np.testing.assert_allclose(found, want, atol=2e-3)


def test_the_dealer_is_named_as_trusted(federation, device):
    (line,) = federation.report().trusted
    assert line.startswith("dave deals") and "trusted for confidentiality" in line
    assert "Who is trusted" in str(federation.report())
    assert "dealer=dave" in repr(device)


def test_the_dealer_may_own_inputs_and_get_results(federation, device):
    dave = federation["dave"]
    x = argot.device(dave)(lambda: X)()
    total = argot.reveal(argot.device(device)(lambda x: (x * x).sum())(x), to=dave)
    np.testing.assert_allclose(total.value(), (X * X).sum(), atol=1e-3)


def test_three_parties_compute_with_a_dealer(federation):
    alice, bob, carol, dave = federation.parties
    device = federation.mpc(alice, bob, carol, protocol="semi2k", dealer=dave)
    x = argot.device(carol)(lambda: X)()
    found = argot.reveal(argot.device(device)(lambda x: jnp.maximum(x * x, 1.0))(x), to=bob)
    np.testing.assert_allclose(found.value(), np.maximum(X * X, 1.0), atol=1e-3)


def test_explain_knows_the_dealer(federation, device):
    x, y = (argot.device(federation[name])(lambda: X)() for name in ("alice", "bob"))
    explained = federation.explain(argot.device(device)(lambda x, y: x * y), x, y)
    assert explained.estimate.rounds == 2
    assert explained.estimate.sent[2] > 0  # the dealer only sends


def test_the_error_says_which_protocols_fit(federation):
    alice, bob, carol, dave = federation.parties
    with pytest.raises(ConfigError, match="aby3 with 2 parties") as caught:
        federation.mpc(alice, bob)
    assert caught.value.wanted == "3" and "cheetah or semi2k" in caught.value.todo
    with pytest.raises(ConfigError, match="aby3 with a dealer"):
        federation.mpc(alice, bob, carol, dealer=dave)
    with pytest.raises(ConfigError, match="cheetah with a dealer"):
        federation.mpc(alice, bob, protocol="cheetah", dealer=dave)
    with pytest.raises(ConfigError, match="cheetah with 3 parties"):
        federation.mpc(alice, bob, carol, protocol="cheetah")
    with pytest.raises(ConfigError, match="a device of"):
        federation.mpc(alice, bob, protocol="semi2k", dealer=bob)
    with pytest.raises(UnknownNameError):
        federation.mpc(alice, bob, protocol="semi3k", dealer=carol)


def test_auto_takes_what_fits_and_says_why(federation, capsys):
    alice, bob, carol, dave = federation.parties
    assert federation.mpc(alice, bob, carol, protocol="auto").spec.protocol == "aby3"
    told = capsys.readouterr().out
    assert re.match(r"aby3: 3 parties, .*; on .* what products and comparisons .* takes aby3 .* s, semi2k .* s", told)
    assert federation.mpc(alice, bob, protocol="auto", dealer=dave).spec.protocol == "semi2k"
    assert "a dealer was named" in capsys.readouterr().out
    assert federation.mpc(alice, bob, protocol="auto").spec.protocol == "cheetah"
    assert "cheetah: 2 parties" in capsys.readouterr().out
    slow = federation.mpc(alice, bob, protocol="auto", link=argot.Link(1e6, 1.0))
    assert slow.spec.protocol == "cheetah" and "on 1 Mbit/s, 2e+03 ms" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="for 1 parties"):
        federation.mpc(alice, protocol="auto")
    with pytest.raises(ConfigError, match="deviate"):
        federation.mpc(alice, bob, carol, protocol="auto", adversary="malicious")
    with pytest.raises(ConfigError, match="adversary='evil'"):
        federation.mpc(alice, bob, carol, protocol="auto", adversary="evil")


def test_protocols_lists_those_that_hide_something():
    found = argot.protocols()
    assert {"aby3", "cheetah", "semi2k", "semi2k+dealer"} <= set(found) and "plain" not in found
    assert "threshold:" in repr(found) and "<table>" in found._repr_html_()
    assert found["semi2k+dealer"].note.endswith("semi2k.md")

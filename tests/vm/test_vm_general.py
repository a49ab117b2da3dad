"""`general=` chooses the functions that are written once for all protocols, where a protocol has its own."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import argot
from argot.errors import UnknownNameError
from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_world
from argot.vm.estimate import estimate
from argot.vm.lower import GENERAL_FUNCTIONS, Spec, trace

X = np.linspace(0.5, 3, 64)
FUNCTIONS = {
    "exp": jnp.exp,
    "log": jnp.log,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "erf": jax.scipy.special.erf,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "sqrt": jnp.sqrt,
    "rsqrt": jax.lax.rsqrt,
    "reciprocal": lambda x: 1.0 / x,
    "div": lambda x: x / (x + 1),
}


def test_every_function_is_here():
    assert set(FUNCTIONS) == set(GENERAL_FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_ways_are_right_and_differ_in_cost(name):
    function = FUNCTIONS[name]
    wanted = np.asarray(function(X))
    costs = []
    for general in ((), (name,)):
        program = trace(function, [Spec(X.shape)], general=general).program
        (found,), _ = on_world(Aby3, program, [X])
        np.testing.assert_allclose(found, wanted, atol=2e-4)
        costs.append(estimate(program, Aby3, 64, 18).bytes)
    assert costs[0] != costs[1]


def test_a_device_says_which_and_refuses_others():
    with argot.local("alice", "bob", "carol") as federation:
        alice, bob, carol = federation.parties
        own = federation.mpc(alice, bob, carol)
        device = federation.mpc(alice, bob, carol, general=["sigmoid"])
        assert "general=['sigmoid']" in repr(device) and "general" not in repr(own)
        halves = [argot.device(owner)(lambda: np.linspace(-2.0, 2.0, 1000))() for owner in (alice, bob)]
        x = argot.device(own)(jnp.add)(*halves)
        y = argot.device(device)(jnp.add)(*halves)
        off = []
        for place, secret in ((own, x), (device, y)):
            found = argot.reveal(argot.device(place)(jax.nn.sigmoid)(secret), to=alice).value()
            off.append(np.abs(found - 1 / (1 + np.exp(-np.linspace(-4, 4, 1000)))).max())
        assert off[1] < 1.5e-5 < off[0] < 6e-5
        with pytest.raises(UnknownNameError, match="cosh"):
            federation.mpc(alice, bob, carol, general=["cosh"])

"""Peak memory of agents, as `benchmarks/memory.py` measures it, beside the largest live set of the program."""

import importlib
import sys
from pathlib import Path

import jax.numpy as jnp
import pytest

from argot.vm.ir import private
from argot.vm.lower import Spec, trace


@pytest.fixture(scope="module")
def script():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent.parent / "benchmarks"))
        yield importlib.import_module("memory")
        del sys.modules["memory"]


def live(script, fn, *specs):
    return script.live_set(trace(fn, specs).program, 2)


def test_the_live_set_of_a_chain_is_two_operands_and_a_result(script):
    assert live(script, script.chain, Spec((1000,)), Spec((1000,))) == 3 * 16 * 1000


def test_the_live_set_counts_what_a_later_equation_needs(script):
    # While the exponential is made of x, which is needed once more: both. Then x y and x.
    assert live(script, lambda x: jnp.exp(x) * x, Spec((1000,))) == 3 * 16 * 1000
    assert live(script, jnp.exp, Spec((1000,))) == 2 * 16 * 1000


def test_booleans_take_a_bit_and_what_is_known_one_word(script):
    assert live(script, jnp.logical_and, Spec((1000,), "bool"), Spec((1000,), "bool")) == 3 * 2 * 125
    known = Spec((1000,), visibility=private(0))
    assert live(script, lambda x: x + x, known) == 2 * 8 * 1000


# Chain and gate: a party that only sends does not run ahead of the others, neither in its own memory nor in theirs; 5.1
# otherwise. The sigmoid: messages and masks exist for a few small parts at a time; 8.1 otherwise.
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(
    "name",
    [
        "chain:4e6",
        "gated:4e6",
        "sigmoid:1e6",
        pytest.param("sort:1e6", marks=pytest.mark.slow),  # half a minute
    ],
)
def test_the_peak_is_a_small_multiple_of_the_live_set(script, name):
    assert script.measure(name, script.works()[name]).ratio < script.RATIO

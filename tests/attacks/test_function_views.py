"""What one curious party sees of the elementary functions: uniform messages and differences, of ABY3 fresh shares."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from test_views import Listener, N, assert_uniform, constant

from argot import mpc
from argot.mpc import derived
from argot.mpc.aby3 import Aby3
from argot.mpc.semi2k import Semi2k
from argot.runtime.world import World

ONE = 1 << 18
FUNCTIONS = {
    "exp": lambda p, x: derived.exp(p, x),
    "exp of a declared range": lambda p, x: derived.exp(p, x, low=-15.0, high=18.0),
    "log": lambda p, x: derived.log(p, x),
    "sigmoid": lambda p, x: derived.sigmoid(p, x),
    "tanh": lambda p, x: derived.tanh(p, x, 32),
    "erf": lambda p, x: derived.erf(p, x),
    "sin": lambda p, x: derived.sin(p, x),
    "cos": lambda p, x: derived.cos(p, x),
    "reciprocal": lambda p, x: derived.reciprocal(p, x),
    "divide": lambda p, x: derived.divide(p, x, x),
    "sqrt": lambda p, x: derived.sqrt(p, x),
    "rsqrt": lambda p, x: derived.rsqrt(p, x),
}

ABY3, *OTHERS = mpc.Form(Aby3, 3), mpc.Form(Semi2k, 3, dealer=True), mpc.Form(Semi2k, 5, dealer=True)
CASES = [
    pytest.param(name, form, id=f"{name}-{form!r}")
    for form in (ABY3, *OTHERS)
    for name in FUNCTIONS
    if form is ABY3 or hasattr(form, name.split()[0])
]


async def evaluate(p, name: str, x: int):
    share = await p.share(constant(x) if p.party.rank == 0 else None, 0, (N,))
    return await FUNCTIONS[name](p, share)


def listen(name: str, form: mpc.Form, *inputs: int, seed: int = 0) -> list[Listener]:
    """What is heard when the function of each of `inputs` is computed, one run after the other."""
    world = World(form, n=form.parties, seed=seed)
    listeners = []
    for x in inputs:
        world.intercept = listener = Listener()
        listeners.append(listener)
        world.run(lambda p, x=x: evaluate(p, name, x))
    return listeners


@pytest.mark.parametrize(("name", "form"), CASES)
def test_messages_and_their_differences_are_uniform(name, form):
    (listener,) = listen(name, form, 3 * ONE)
    assert form is not ABY3 or len(listener.heard[0]) <= 40
    for receiver, messages in listener.heard.items():
        for i, message in enumerate(messages):
            assert_uniform(message, (name, receiver, i))
        for (i, one), (j, other) in combinations(enumerate(messages), 2):
            n = min(one.size, other.size)
            assert_uniform(one[:n] ^ other[:n], (name, receiver, i, j))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_running_again_on_x_plus_one_shows_no_known_difference(name, form):
    first, second = listen(name, form, 3 * ONE, 3 * ONE + 1)
    for receiver in first.heard:
        for i, (one, other) in enumerate(zip(first.heard[receiver], second.heard[receiver], strict=True)):
            assert_uniform(one ^ other, (name, receiver, i))


@pytest.mark.parametrize(("name", "form"), CASES)
def test_sizes_and_distribution_do_not_depend_on_the_input(name, form):
    """Also at the edges: nothing, below zero, far beyond the function's reach."""
    usual, *others = listen(name, form, 2 * ONE, 0, -5 * ONE, 2**43, -(2**43), seed=6)
    for other in others:
        for receiver in usual.heard:
            mine, theirs = usual.heard[receiver], other.heard[receiver]
            assert [m.size for m in mine] == [m.size for m in theirs]
            for i, message in enumerate(theirs):
                assert_uniform(message, (name, receiver, i))


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("reciprocal", "sqrt", "rsqrt")])
def test_shares_that_come_out_are_fresh(name):
    """Where the last step is a `join`; the others end with `mul_trunc`."""
    for rank, parts in enumerate(World(Aby3, seed=4).run(lambda p: evaluate(p, name, 3 * ONE))):
        for i, part in enumerate(parts.parts):
            assert_uniform(np.ascontiguousarray(part).view(np.uint8), (name, rank, i))


def test_functions_give_the_same_after_any_split():
    """The error of a function depends on how x is shared, its size does not."""
    worlds = [World(Aby3, seed=seed) for seed in range(3)]
    for name in FUNCTIONS:

        async def program(p, name=name):
            return await p.reveal_to(await evaluate(p, name, 3 * ONE), [0])

        results = [world.run(program)[0].astype(np.int64) for world in worlds]
        spread = max(r.max() for r in results) - min(r.min() for r in results)
        assert spread <= (28 if name in ("sigmoid", "tanh", "erf") else 2 + results[0][0] // 10**6)

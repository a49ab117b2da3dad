"""Four programs of the VM under ABY3: windows of 1, 2 and 8 equations, machines and networks of every kind, and the
four submitted in another order at each party. Results and traffic per path are those of lock step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from argot.devices.mpc import reference, reveal
from argot.mpc.aby3 import Aby3
from argot.runtime import gather
from argot.runtime.world import Delivery, World
from argot.vm import machine
from argot.vm.ir import private
from argot.vm.lower import Spec, trace
from argot.vm.values import Private

WINDOWS = (1, 2, 8)
DELIVERIES = (
    Delivery(),
    Delivery(delay=100, split=1.0, speeds=(0.1, 1.0, 0.5), flush_bytes=(1, 500, 1 << 20), workers=(4, 1, 1)),
)


def regression(x, y):
    def step(_, w):
        return w - 0.5 * x.T @ (jax.nn.sigmoid(x @ w) - y) / x.shape[0]

    return jax.lax.fori_loop(0, 2, step, jnp.zeros(x.shape[1]))


def branches(x, y):
    bigger = jnp.where(x[:, 0] > y, x[:, 0], y)
    return bigger.max(), jnp.abs(x).sum(axis=0), x[:, 1] * y + bigger


def products(x, y):
    return x.T @ x, (y * y).sum()


def division(x, y):
    return x[:, 1] / (y + 2.0)


PROGRAMS = [
    trace(fn, (Spec((6, 2), visibility=private(0)), Spec((6,), visibility=private(1)))).program
    for fn in (regression, branches, products, division)
]
X = np.random.default_rng(0).uniform(-1, 1, (6, 2))
Y = np.random.default_rng(1).uniform(0, 1, 6)


def at(rank: int, program: Any, window: int) -> Any:
    """What a party runs: its view of the inputs, the program, all results revealed."""

    async def run(p: Any) -> list[list[float]]:
        plain = reference(p.k, p.fraction_bits)
        inputs = [
            Private.of(owner, value if rank == owner else None, param.type, plain)
            for owner, (value, param) in enumerate(zip((X, Y), program.body.params, strict=True))
        ]
        results = await machine.run(program, inputs, p, plain, window=window)
        arrays = (await gather(*(reveal(p, results, to) for to in range(3))))[rank]
        return [array.tolist() for array in arrays]

    return run


def jobs(window: int) -> list[list[Any]]:
    return [[at(rank, program, window) for rank in range(3)] for program in PROGRAMS]


@pytest.fixture(scope="module", params=WINDOWS)
def lock_step(request):
    world = World(Aby3, seed=5)
    return request.param, world.run_all(jobs(request.param)), world.traffic, world.bits, world.rounds


def test_lock_step_is_right(lock_step):
    _, results, *_ = lock_step
    for program, (fn, runs) in enumerate(zip((regression, branches, products, division), results, strict=True)):
        expected = jax.tree.leaves(fn(jnp.asarray(X), jnp.asarray(Y)))
        assert runs[0] == runs[1] == runs[2], program
        for found, wanted in zip(runs[0], expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=2e-3)


@pytest.mark.parametrize("delivery", DELIVERIES)
@pytest.mark.parametrize("seed", [*range(2), *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 20))])
def test_results_and_traffic_are_those_of_lock_step(lock_step, delivery, seed):
    window, results, traffic, bits, rounds = lock_step
    world = World(Aby3, seed=5, delivery=delivery)
    world.random.seed(seed)
    orders = [world.random.sample(range(4), 4) for _ in range(3)]
    assert world.run_all(jobs(window), orders) == results
    assert world.traffic == traffic and world.bits == bits and world.rounds == rounds

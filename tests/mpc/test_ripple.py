"""Signs of long arrays of two parties, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpc_worlds import corners, run, words

from argot.mpc import transfer_costs as costs
from argot.mpc.bits import Bits
from argot.mpc.cheetah import Cheetah
from argot.runtime.world import World, forget_kept


@pytest.fixture(autouse=True)
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "LONG", 1)
    monkeypatch.setattr(costs, "LONG_PART", 1 << 13)


def signs(values: np.ndarray, k: int, bound: int | None = None) -> np.ndarray:
    async def program(p: Any, x: Any) -> Any:
        return await p.msb(x, bound)

    found: Bits = run(program, values, k=k, protocol=Cheetah)
    return found.to_ring(np.dtype(np.uint64)).astype(bool).reshape(-1)


@pytest.mark.parametrize("k", [32, 64, 128])
def test_signs_are_those_of_the_numbers(k: int) -> None:
    values = corners(k)
    assert (signs(words(values, k), k) == [v % 2**k >> (k - 1) == 1 for v in values]).all()


@pytest.mark.parametrize("n", [1, 63, 64, 65, 3 * (1 << 13) + 5000])
@pytest.mark.parametrize("bound", [2, 20, None])
def test_parts_and_bounds(n: int, bound: int | None) -> None:
    top = 1 << ((bound or 64) - 1)
    values = np.random.default_rng(n).integers(-top, top - 1, n, endpoint=True)
    assert (signs(values.view(np.uint64), 64, bound) == (values < 0)).all()


@pytest.mark.parametrize(("n", "width"), [(1 << 13, 64), (9 * (1 << 13), 20), (2 << 13, 2)])
def test_costs_are_those_declared(n: int, width: int) -> None:
    """Four bits a position, and a round for each and one."""
    world = World(lambda party: Cheetah(party, ring=64), n=2, seed=1)
    values = np.zeros(n, np.uint64)

    async def shared(p: Any) -> Any:
        return await p.share(values if p.party.rank == 0 else None, 0, (n,))

    async def signs(p: Any, x: Any) -> None:
        await p.msb(x, None if width == 64 else width)

    world.run(signs, world.run(shared))
    assert world.bits == 4 * (width - 1) * n
    assert world.rounds == costs.waves(n, costs.LONG_PART) * width


def test_products_go_on_in_the_next_run() -> None:
    """None is used twice, and the next run goes on where the last one stopped."""
    forget_kept()
    values = np.random.default_rng(0).integers(-9, 9, 1000)
    for _ in range(3):
        assert (signs(values.view(np.uint64), 64) == (values < 0)).all()

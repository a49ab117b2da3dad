"""What each elementary function costs, exactly: (rounds, bits an element over all parties). 64 bits, 18 of fraction.

Columns of `docs/reference/accuracy.md`. A change of a figure here is a change of a promise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from argot.mpc import derived
from argot.mpc.aby3 import Aby3
from argot.runtime.world import World

N = 192

COSTS: dict[str, tuple[int, int]] = {
    "exp": (6, 1001),
    "exp bound=32": (6, 660),
    "exp high=0.0": (6, 619),
    "exp bound=32 high=0.0": (5, 450),
    "exp low=-15.0 high=18.0": (2, 256),
    "exp bound=23": (2, 256),
    "log": (19, 2372),
    "log bound=32": (18, 1828),
    "sigmoid": (8, 1722),
    "sigmoid bound=32": (7, 1384),
    "sigmoid bound=22": (3, 1058),
    "tanh": (8, 1904),
    "tanh bound=32": (7, 1552),
    "tanh bound=21": (3, 1218),
    "erf": (8, 1424),
    "erf bound=20": (3, 738),
    "sin": (3, 290),
    "cos": (3, 290),
    "reciprocal": (21, 2618),
    "reciprocal bound=32": (20, 2077),
    "divide": (22, 2938),
    "divide bound=32": (20, 2397),
    "sqrt": (21, 2880),
    "sqrt bound=32": (20, 2348),
    "rsqrt": (21, 2919),
    "rsqrt bound=32": (20, 2375),
    "abs": (6, 591),
    "sign": (6, 1054),
    "maximum bound=32": (6, 417),
    "minimum bound=32": (6, 417),
    "clamp bound=32": (6, 834),
    "max of 3 bound=32": (11, 834),
    "min of 3 bound=32": (11, 834),
    "argmax of 3 bound=32": (13, 1092),
    "argmin of 3 bound=32": (13, 1092),
}

GENERAL: dict[str, tuple[int, int]] = {
    "exp": (35, 6062),
    "log": (48, 6298),
    "sigmoid": (26, 3619),
    "erf": (48, 6152),
    "sin": (27, 3581),
    "reciprocal": (43, 5331),
    "divide": (45, 5469),
    "sqrt": (55, 7858),
    "rsqrt": (53, 7618),
}

PUBLISHED_BYTES = {  # SPU 0.9.5, ABY3, FM64
    "exp": 444,
    "log": 2524,
    "sigmoid": 1780,
    "tanh": 868,
    "reciprocal": 1336,
    "divide": 1388,
    "sqrt": 1784,
    "rsqrt": 1548,
}


def measure(function: Any, *arguments: Any, rows: int = 1, **options: Any) -> tuple[int, int]:
    """(rounds, bits for each element of the result)."""
    world = World(Aby3, seed=1)
    shape = (N,) if rows == 1 else (rows, N)
    values = np.random.default_rng(1).uniform(0.5, 6, shape)

    async def share(p: Any) -> Any:
        return await p.share(p.encode(values) if p.party.rank == 0 else None, 0, shape)

    async def program(p: Any, x: Any) -> None:
        more = [p.encode(a) if isinstance(a, float) else x for a in arguments]
        await function(p, x, *more, **options)

    world.run(program, world.run(share))
    assert world.bits % N == 0
    return world.rounds, world.bits // N


def parsed(row: str) -> tuple[str, dict[str, Any]]:
    name, *words = row.split(" ")
    pairs = [w.split("=") for w in words if "=" in w]
    return name, {key: int(value) if key == "bound" else float(value) for key, value in pairs}


@pytest.mark.parametrize("row", COSTS)
def test_costs(row):
    name, options = parsed(row)
    function = getattr(derived, name)
    match name:
        case "divide" | "maximum" | "minimum":
            found = measure(function, None, **options)
        case "clamp":
            found = measure(function, 0.0, 1.0, **options)
        case "max" | "min" | "argmax" | "argmin":
            found = measure(function, rows=3, axis=0, **options)
        case _:
            found = measure(function, **options)
    assert found == COSTS[row]


@pytest.mark.parametrize("name", GENERAL)
def test_costs_of_the_general_functions(name):
    general = getattr(derived, name).general
    assert (measure(general, None) if name == "divide" else measure(general)) == GENERAL[name]


def test_calls_are_counted_under_the_name_of_the_function():
    """Through `derived`, of the protocol itself, and the general one; what they are made of is below."""

    async def program(p: Any) -> None:
        x = await p.share(p.encode(np.ones(N)) if p.party.rank == 0 else None, 0, (N,))
        await derived.sigmoid(p, x)
        await p.sigmoid(x)
        await derived.sigmoid.general(p, x)
        await derived.maximum(p, x, x)

    world = World(Aby3, seed=1)
    world.run(program)
    calls = {row["path"]: row["calls"] for row in world.record.rows()}
    assert [path for path in calls if path and "/" not in path] == ["share", "sigmoid", "maximum"]
    assert calls["sigmoid"] == 3
    assert {"sigmoid/exp", "sigmoid/reciprocal", "maximum/less_than/msb", "maximum/select/mul_bit"} < calls.keys()


def test_every_function_has_a_row():
    names = {name for name in vars(derived) if isinstance(getattr(derived, name), derived.exp.__class__)}
    assert names == {row.split(" ")[0] for row in COSTS}


def test_targets():
    bytes_of = {row: bits / 8 for row, (_, bits) in COSTS.items()}
    assert bytes_of["sigmoid"] <= 330 and bytes_of["sigmoid bound=32"] <= 260
    assert bytes_of["exp"] <= 235 and bytes_of["exp bound=32"] <= 160 and bytes_of["exp low=-15.0 high=18.0"] <= 60
    for name, published in PUBLISHED_BYTES.items():
        assert bytes_of[name] < published / 3.5, name

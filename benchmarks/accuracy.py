"""The tables of docs/reference/accuracy.md: errors and costs of the elementary functions.

    python benchmarks/accuracy.py            # rewrites the tables in place
    python benchmarks/accuracy.py --check    # fails if a figure is worse than the document says

Errors are measured over the range on values that the ring holds exactly, against float64, all parties of ABY3 in one
process. Functions of several steps (gelu, softmax...) are programs, as users write them. SPU's errors are those of
0.9.5 with ABY3, FM64 and FM128, at its defaults, over the same ranges.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from argot.mpc import derived
from argot.mpc.aby3 import Aby3
from argot.mpc.plain import Plain
from argot.runtime.world import World
from argot.vm.conformance import on_world
from argot.vm.estimate import estimate
from argot.vm.lower import GENERAL_FUNCTIONS, Spec, trace

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "accuracy.md"
FRACTION = {32: 8, 64: 18, 128: 40}
POINTS = 100_000
ROW = 10  # elements of one softmax

TRUTH: dict[str, Callable[..., np.ndarray]] = {
    "exp": np.exp,
    "log": np.log,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "erf": np.vectorize(math.erf, otypes=[float]),
    "sin": np.sin,
    "cos": np.cos,
    "reciprocal": lambda x: 1 / x,
    "divide": lambda x: 100 / x,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "gelu": lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "gelu by erf": lambda x: x / 2 * (1 + TRUTH["erf"](x / math.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "logsumexp": lambda x: np.log(np.exp(x).sum(-1)),
}

# Functions that are programs of several steps.
PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "gelu": jax.nn.gelu,
    "gelu by erf": lambda x: jax.nn.gelu(x, approximate=False),
    "silu": jax.nn.silu,
    "softmax": jax.nn.softmax,
    "logsumexp": lambda x: jax.nn.logsumexp(x, axis=-1),
}
OF_ROWS = ("softmax", "logsumexp")

# What errors in ring 64 shall not exceed: 1e-4 of the value or two steps of the grid, or 1e-4 whatever the value.
RELATIVE = ("exp", "log", "reciprocal", "sqrt", "rsqrt")
ABSOLUTE = ("sigmoid", "tanh", "erf", "gelu", "gelu by erf", "softmax")

# (function, low, high, SPU FM64, SPU FM128): SPU's largest absolute errors.
RANGES: list[tuple[str, float, float, str, str]] = [
    ("exp", -1, 1, "9.3e-3", "5.3e-3"),
    ("exp", -8, 4, "1.7", "1.7"),
    ("exp", -16, 0, "1.3e-3", "1.1e-3"),
    ("exp", 0, 10, "3.8e3", "3.8e3"),
    ("exp", 8, 18, "garbage from 20", ""),
    ("sigmoid", -4, 4, "9.6e-4", "8.6e-4"),
    ("sigmoid", -16, 16, "9.5e-4", "8.6e-4"),
    ("sigmoid", -100, 100, "9.6e-4", "8.6e-4"),
    ("tanh", -3, 3, "4.9e-3", "4.9e-3"),
    ("tanh", -16, 16, "4.9e-3", "4.9e-3"),
    ("erf", -4, 4, "4.8e-4", "4.7e-4"),
    ("erf", -100, 100, "", ""),
    ("sin", -3.1, 3.1, "1.3e-4", "9.2e-5"),
    ("sin", -30, 30, "1.3e-4", "9.7e-5"),
    ("cos", -1000, 1000, "", ""),
    ("cos", -6e7, 6e7, "", ""),
    ("reciprocal", 0.01, 1, "2.9e-3", "1.9e-3"),
    ("reciprocal", 0.1, 10, "4.0e-4", "3.9e-4"),
    ("reciprocal", 1, 1000, "9.6e-6", "9.0e-6"),
    ("divide", 0.1, 1000, "", ""),
    ("log", 0.01, 1, "1.9e-5", "3.3e-7"),
    ("log", 0.1, 10, "1.4e-5", "1.9e-7"),
    ("log", 1000, 100000, "2.7e-5", "6.9e-7"),
    ("sqrt", 0.001, 1, "1.0e-5", "7.0e-8"),
    ("sqrt", 1, 1000, "3.9e-3", "1.6e-5"),
    ("sqrt", 1000, 100000, "0.38", "1.5e-3"),
    ("sqrt", 100000, 6e7, "all wrong", ""),
    ("rsqrt", 0.01, 1, "2.8e-3", "8.4e-4"),
    ("rsqrt", 0.1, 10, "6.5e-4", "2.3e-4"),
    ("rsqrt", 1000, 100000, "7.3e-6", "2.4e-6"),
    ("gelu", -4, 4, "", ""),
    ("gelu", -16, 16, "", ""),
    ("gelu by erf", -4, 4, "", ""),
    ("gelu by erf", -16, 16, "", ""),
    ("silu", -4, 4, "", ""),
    ("silu", -16, 16, "", ""),
    ("softmax", -4, 4, "", ""),
    ("softmax", -16, 16, "", ""),
    ("logsumexp", -4, 4, "", ""),
    ("logsumexp", -16, 16, "", ""),
]

COSTS: list[tuple[str, dict[str, Any], str]] = [
    ("exp", {}, "444 / 26"),
    ("exp", {"bound": 32}, ""),
    ("exp", {"high": 0.0}, ""),
    ("exp", {"low": -15.0, "high": 18.0}, ""),
    ("exp", {"bound": 23}, ""),
    ("sigmoid", {}, "1780 / 80"),
    ("sigmoid", {"bound": 32}, ""),
    ("sigmoid", {"bound": 22}, ""),
    ("tanh", {}, "868 / 49"),
    ("erf", {}, ""),
    ("erf", {"bound": 20}, ""),
    ("sin", {}, ""),
    ("reciprocal", {}, "1336 / 54"),
    ("reciprocal", {"bound": 32}, ""),
    ("divide", {}, "1388 / 56"),
    ("log", {}, "2524 / 41"),
    ("log", {"bound": 32}, ""),
    ("sqrt", {}, "1784 / 61"),
    ("rsqrt", {}, "1548 / 51"),
    ("abs", {}, ""),
    ("sign", {}, ""),
    ("maximum", {"bound": 32}, "172 / 10"),
]

COMPARISONS: list[tuple[str, str, float | None]] = [
    ("<", "float64", None),
    ("<", "float64", 1000.0),
    ("<", "int32", None),
    ("<", "int64", None),
    ("<", "uint64", None),
    ("<", "int64", 2.0**20),
    ("==", "float64", None),
    ("==", "int64", None),
    ("==", "int64", 2.0**20),
]


def operands(name: str, x: np.ndarray) -> list[np.ndarray]:
    return {"divide": [np.full_like(x, 100.0), x], "maximum": [x, x]}.get(name, [x])


def run(
    name: str, x: np.ndarray, k: int, protocol: Any, general: bool = False, **options: Any
) -> tuple[np.ndarray, World]:
    """The function's values at x, and the world with the traffic of the function alone."""
    f = FRACTION[k]
    world = World(lambda party: protocol(party, k, f), n=protocol.parties, seed=11)
    values = operands(name, x)

    async def share(p: Any) -> list[Any]:
        mine = [p.encode(v) if p.party.rank == 0 else None for v in values]
        return [await p.share(m, 0, v.shape) for m, v in zip(mine, values, strict=True)]

    async def program(p: Any, shares: list[Any]) -> Any:
        function = getattr(derived, name)
        return await function.chosen(general)(p, *shares, **options)

    async def reveal(p: Any, result: Any) -> np.ndarray:
        return p.decode(await p.reveal_to(result, range(p.parties)))

    results = world.run(program, world.run(share))
    measured = world.rounds, world.bits
    values_out = world.run(reveal, results)[0]
    world.rounds, world.bits = measured
    return values_out, world


def points(name: str, low: float, high: float, k: int) -> np.ndarray:
    """Arguments on the grid, with values that can be encoded; rows in random order for functions of rows."""
    f = FRACTION[k]
    wide = low > 0 and high / low > 50
    x = np.geomspace(low, high, POINTS) if wide else np.linspace(low, high, POINTS)
    x = np.round(x * 2.0**f) / 2.0**f
    if name in OF_ROWS:
        return np.random.default_rng(3).permutation(x).reshape(-1, ROW)
    x = x[x > 0] if low > 0 else x
    limit = 2.0 ** (k - 2 * f - 2)
    x = x[np.abs(x) < limit]
    return x[np.abs(TRUTH[name](x)) < limit]


def values(name: str, x: np.ndarray, k: int, protocol: Any, general: bool) -> np.ndarray:
    """The function's values at x."""
    if name not in PROGRAMS:
        return run(name, x, k, protocol, general)[0]
    program = trace(PROGRAMS[name], [Spec(x.shape)]).program
    return on_world(protocol, program, [x], seed=11, ring=k, fraction_bits=FRACTION[k])[0][0]


def error(
    name: str, low: float, high: float, k: int, protocol: Any = Aby3, general: bool = False
) -> tuple[float, float, float]:
    """Largest absolute error, largest relative error where the value is at least 0.01, and what part of the allowed
    error the largest is (NaN where the function has no such limit)."""
    x = points(name, low, high, k)
    want = np.abs(TRUTH[name](x))
    wrong = np.abs(values(name, x, k, protocol, general) - TRUTH[name](x))
    large = want >= 0.01
    allowed = np.nan
    if name in RELATIVE:
        allowed = np.maximum(1e-4 * want, 2 * 2.0 ** -FRACTION[k])
    elif name in ABSOLUTE:
        allowed = 1e-4
    return float(wrong.max()), float((wrong[large] / want[large]).max(initial=0.0)), float((wrong / allowed).max())


def two(found: tuple[float, float, float]) -> str:
    return f"{found[0]:.1e} ({found[1]:.1e})"


def errors() -> str:
    lines = [
        "| function | range | 64 bits | of limit | 128 bits | general, 64 bits | in the clear | SPU FM64 | SPU FM128 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, low, high, spu64, spu128 in RANGES:
        found = error(name, low, high, 64)
        limit = "" if math.isnan(found[2]) else f"{found[2]:.2f}"
        general = "" if name in PROGRAMS else two(error(name, low, high, 64, general=True))
        clear = two(error(name, low, high, 64, Plain))
        cells = [two(found), limit, two(error(name, low, high, 128)), general, clear, spu64, spu128]
        lines.append(f"| {name} | [{low:g}, {high:g}] | {' | '.join(cells)} |")
    return "\n".join(lines)


def errors_of_small_rings() -> str:
    lines = ["| function | range | 32 bits, 8 of fraction | in the clear |", "|---|---|---|---|"]
    for name, low, high in (
        ("exp", -6, 4), ("exp", 4, 9), ("sigmoid", -16, 16), ("tanh", -16, 16), ("erf", -16, 16), ("sin", -16, 16),
        ("cos", -1000, 1000), ("reciprocal", 0.1, 100), ("divide", 0.1, 100), ("log", 0.1, 1000), ("sqrt", 0.1, 1000),
        ("rsqrt", 0.1, 1000), ("gelu", -4, 4), ("gelu by erf", -4, 4), ("silu", -16, 16), ("softmax", -4, 4),
        ("logsumexp", -4, 4),
    ):  # fmt: skip
        cells = two(error(name, low, high, 32)), two(error(name, low, high, 32, Plain))
        lines.append(f"| {name} | [{low:g}, {high:g}] | {' | '.join(cells)} |")
    return "\n".join(lines)


def costs() -> str:
    x = np.full(640, 2.5)
    lines = ["| function | declared | bytes / rounds | general | SPU bytes / rounds |", "|---|---|---|---|---|"]
    for name, options, spu in COSTS:
        _, world = run(name, x, 64, Aby3, **options)
        general = ""
        if not options and name in GENERAL_FUNCTIONS:
            _, other = run(name, x, 64, Aby3, general=True)
            general = f"{other.bits / 8 / x.size:.1f} / {other.rounds}"
        words = ", ".join(f"`{key}={value:g}`" for key, value in options.items()) or "nothing"
        lines.append(f"| {name} | {words} | {world.bits / 8 / x.size:.1f} / {world.rounds} | {general} | {spu} |")
    return "\n".join(lines)


def comparisons() -> str:
    lines = ["| comparison | operands | declared | bytes / rounds |", "|---|---|---|---|"]
    for sign, dtype, high in COMPARISONS:
        spec = Spec((POINTS,), dtype) if high is None else Spec((POINTS,), dtype, low=0, high=high)
        function = (lambda x, y: x < y) if sign == "<" else (lambda x, y: x == y)
        cost = estimate(trace(function, [spec, spec]).program, Aby3, 64, FRACTION[64])
        words = "nothing" if high is None else f"from 0 to {high:.0f}"
        lines.append(f"| x {sign} y | {dtype} | {words} | {cost.bytes / POINTS:.1f} / {cost.rounds} |")
    return "\n".join(lines)


TABLES = {"comparisons": comparisons, "errors": errors, "small rings": errors_of_small_rings, "costs": costs}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the page instead of rewriting it")
    arguments = parser.parse_args()
    page = before = PAGE.read_text()
    for name, make in TABLES.items():
        page = re.sub(rf"(?s)(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", (make() + "\n").replace("\\", r"\\"), page)
    if arguments.check:
        print("the tables are as measured" if page == before else "the tables are not as measured")
        return int(page != before)
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How fast the local kernels are on one core: matrix products, products with a share of zero, keystream, bit slicing.

    python benchmarks/kernels.py [--json FILE] [--backend avx512|avx2|portable]

Rates are per second of processor time of the calling process, best of several runs, so that they hold beside other
work; memory-bound figures still suffer from it. Data that a kernel reads and writes counts once each; keystream made
on the way does not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("RAYON_NUM_THREADS", "1")

import numpy as np

from argot._core import prf, ring

PLUS, MINUS = bytes(range(16)), bytes(range(1, 17))
IN_CACHE, IN_MEMORY = 1 << 13, 1 << 20


def seconds(work: Callable[[], object], budget: float = 0.25) -> float:
    """Processor seconds of one call: the best of batches of at least 2 ms, within `budget`."""
    work()
    start = time.perf_counter()
    work()
    batch = max(1, int(0.002 / max(time.perf_counter() - start, 1e-7)))
    best, end = float("inf"), time.perf_counter() + budget
    while time.perf_counter() < end or best == float("inf"):
        before = time.process_time_ns()
        for _ in range(batch):
            work()
        best = min(best, (time.process_time_ns() - before) / batch / 1e9)
    return best


def random(n: int | tuple[int, ...], seed: int, dtype: Any = np.uint64) -> Any:
    return prf.fill(bytes([seed] * 16), n, dtype)


def matmul(side: int, dtype: Any) -> float:
    x, y = random((side, side), 1, dtype), random((side, side), 2, dtype)
    out = np.empty_like(x)
    return side**3 / seconds(lambda: ring.matmul(x, y, out=out)) / 1e9


def elementwise(n: int) -> dict[str, float]:
    """GB/s over arrays of n words."""
    x0, x1, y0, y1 = (random(n, i) for i in range(4))
    out, size = np.empty_like(x0), 8 * n / 1e9
    planes = ring.bits_from_ring(x0, 64)
    reals = random(n, 5).astype(np.float64) / 2.0**40
    rates: dict[str, tuple[Callable[[], object], int]] = {
        "add": (lambda: ring.add(x0, x1, out=out), 3),
        "cross": (lambda: ring.cross(x0, x1, y0, y1, PLUS, MINUS, out=out), 5),
        "bits_cross": (
            lambda: ring.bits_cross(planes, planes, planes, planes, PLUS, MINUS, n, out=out.reshape(planes.shape)),
            5,
        ),
        "prf.fill": (lambda: prf.fill(PLUS, n, np.uint64), 1),
        "bits_from_ring": (lambda: ring.bits_from_ring(x0, 64), 2),
        "bits_to_ring": (lambda: ring.bits_to_ring(planes, (n,), np.uint64), 2),
        "encode": (lambda: ring.encode(reals, 18, np.uint64), 2),
        "decode": (lambda: ring.decode(x0, 18), 2),
    }
    return {name: moved * size / seconds(work) for name, (work, moved) in rates.items()}


def measure() -> dict[str, float]:
    """Every figure, by name and unit."""
    found = {
        f"matmul {name} {side}x{side}x{side}, GMAC/s": matmul(side, dtype)
        for side in (128, 1000)
        for name, dtype in (("u64", np.uint64), ("u32", np.uint32))
    }
    found["matmul u128 300x300x300, GMAC/s"] = matmul(300, ring.Z128)
    for where, n in (("in cache", IN_CACHE), ("in memory", IN_MEMORY)):
        found |= {f"{name} u64, {where}, GB/s": rate for name, rate in elementwise(n).items()}
    one = random(1, 1)
    found["add u64, one element, ns a call"] = seconds(lambda: ring.add(one, one)) * 1e9
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", metavar="FILE", help="write the figures there; - for standard output")
    parser.add_argument("--backend", choices=["avx512", "avx2", "portable"])
    arguments = parser.parse_args()
    if arguments.backend:
        ring.set_backend(arguments.backend)
    figures = measure()
    found = {"ring": ring.backend(), "prf": prf.backend(), "figures": figures}
    if arguments.json == "-":
        json.dump(found, sys.stdout, indent=2)
        print()
        return
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(found, file, indent=2)
    print(f"backends: ring {found['ring']}, prf {found['prf']}")
    for name, value in figures.items():
        print(f"{name:<44}{value:>10.1f}")


if __name__ == "__main__":
    main()

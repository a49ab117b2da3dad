"""Long kernels let other Python threads run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from argot._core import approx, mpc, prf, ring, sets

KEY = bytes(16)
WORDS = np.arange(2_000_000, dtype=np.uint64)
PLANES = np.zeros((64, 20_000), np.uint64)
REALS = np.ones(2_000_000)
ITEMS, BLINDER = sets.uniform([np.arange(2_000)], "gil")[0], sets.Blinder()
SQUARE = WORDS[:250_000].reshape(500, 500)

# Nothing but the kernel is in the call: NumPy lets go of the GIL as well.
KERNELS: dict[str, Callable[[], object]] = {
    "elementwise": lambda: ring.mul(WORDS, WORDS),
    "matmul": lambda: ring.matmul(SQUARE, SQUARE),
    "cross": lambda: ring.cross(WORDS, WORDS, WORDS, WORDS, KEY, KEY),
    "encode": lambda: ring.encode(REALS, 18, np.uint64),
    "planes": lambda: ring.bits_from_ring(WORDS, 64),
    "bits": lambda: ring.bits_cross(PLANES, PLANES, PLANES, PLANES, KEY, KEY, 64 * 20_000),
    "draw": lambda: prf.fill(KEY, 30_000_000, np.uint8),
    "truncation": lambda: mpc.trunc_first(WORDS, 18, KEY, KEY, KEY, KEY),
    "keys of comparisons": lambda: mpc.compare_deal(WORDS[:1000], 64, KEY, KEY, KEY),
    "function": lambda: approx.plain("exp", WORDS[:20_000], 64, 18),
    "points": lambda: BLINDER.blind(ITEMS),
}


@pytest.fixture(autouse=True)
def nobody_is_made_to_give_way() -> Iterator[None]:
    """The interpreter takes the GIL from a thread after this time only; until then it changes hands when let go."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    yield
    sys.setswitchinterval(before)


def another_thread_runs_in(work: Callable[[], object]) -> bool:
    """Whether a thread that waits for the GIL, and for nothing else, gets it from `work`."""
    gate, ran = threading.Lock(), []
    gate.acquire()

    def other() -> None:
        with gate:
            ran.append(True)

    thread = threading.Thread(target=other)
    thread.start()
    gate.release()
    for _ in range(100):  # a busy machine may not wake the other thread while one call lasts
        work()
        if ran:
            break
    found = bool(ran)
    thread.join()
    return found


@pytest.mark.parametrize("name", KERNELS)
def test_a_long_kernel_lets_other_threads_run(name: str) -> None:
    assert another_thread_runs_in(KERNELS[name])


def test_what_keeps_the_gil_is_found_out() -> None:
    assert not another_thread_runs_in(lambda: sum(range(100_000)))

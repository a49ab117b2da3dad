"""`argot bench psi`: the intersection of two CSV files, from files in to files out."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..api.calls import device as at
from ..api.local import local
from ..errors import InputError
from ..frame import owner


def bench(n: int, reps: int = 3) -> dict[str, Any]:
    """Join two files of n ids each, half of them in both, with two agents on this machine.

    Returns:
        op, n, seconds (median, from reading the files to having written both results), bytes_total, rounds,
        intersection.
    """
    if n < 2:
        raise InputError(f"--n {n}", wanted="at least 2 ids")
    with tempfile.TemporaryDirectory(prefix="argot-psi-") as name:
        folder, half = Path(name), n // 2
        _ids(folder / "alice.csv", [*range(half), *range(n, 2 * n - half)])
        _ids(folder / "bob.csv", [*range(half), *range(3 * n, 4 * n - half)])
        with local("alice", "bob") as federation:
            alice, bob = federation.parties
            seconds = []
            for _ in range(reps + 1):
                start = time.perf_counter()
                left = alice.table(str(folder / "alice.csv"), text=["id"])
                right = bob.table(str(folder / "bob.csv"), text=["id"])
                joined = federation.psi(left, right, on="id")
                written = [
                    at(party)(owner.write_csv)(table, str(folder / f"{party.name}-out.csv"))
                    for party, table in zip((alice, bob), joined, strict=True)
                ]
                counts = {int(count.value()) for count in written}
                seconds.append(time.perf_counter() - start)
            usages = joined[0].ref.product.record.done_at.values()
        results = [(folder / f"{name}-out.csv").read_text() for name in ("alice", "bob")]
    assert counts == {half} and results[0] == results[1], "the two results differ"
    return {
        "op": "psi",
        "n": n,
        "seconds": statistics.median(seconds[1:]),
        "bytes_total": sum(u.bytes_sent for u in usages),
        "rounds": max(u.rounds for u in usages),
        "intersection": half,
    }


def _ids(path: Path, numbers: list[int]) -> None:
    shuffled = np.random.default_rng(7).permutation(np.array(numbers))
    path.write_text("id\n" + "".join(f"{i * 2654435761 % 2**40:016x}\n" for i in shuffled.tolist()))

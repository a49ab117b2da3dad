"""Random numbers that nobody knows (`argot.random`)."""

from __future__ import annotations

from typing import Any

from ..builder import Builder, Ref
from ..example import bits, example


@example(lambda J, c: c & ((J.draw("fixed", (9,), 1) < 1) & (J.draw("i64", (9,), 5) < 32)), bits(9))
@example(lambda J, c: c | J.draw("bool", (70,), 1) | True, bits(70))
def secret_random(b: Builder, *_refs: Ref, dtype: str, shape: Any, bits: int, **_: Any) -> Ref:
    """New secret numbers: each time the equation runs, others."""
    b.draws += 1
    return b.emit("random", dtype=dtype, shape=tuple(map(int, shape)), bits=int(bits), draw=b.draws)

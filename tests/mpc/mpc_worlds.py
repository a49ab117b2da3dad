"""Helpers of the protocol tests: integers in and out of a world of parties."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np

from argot.mpc.aby3 import Aby3
from argot.mpc.bits import Bits
from argot.mpc.protocol import RINGS, Arith, Bool
from argot.runtime.world import World


def words(values: Sequence[int] | np.ndarray, k: int, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Integers mod 2^k as a ring array."""
    ints = [int(v) % 2**k for v in np.asarray(values, dtype=object).reshape(-1)]
    if k == 128:
        out = np.empty(len(ints), RINGS[128])
        out["lo"] = [v % 2**64 for v in ints]
        out["hi"] = [v >> 64 for v in ints]
    else:
        out = np.array(ints, RINGS[k])
    return out.reshape(np.shape(values) if shape is None else shape)


def ints(array: np.ndarray, signed: bool = True) -> list[int]:
    """The elements of a ring array as integers, in two's complement if `signed`."""
    flat = array.reshape(-1)
    k = array.dtype.itemsize * 8
    if k == 128:
        found = [int(lo) | int(hi) << 64 for lo, hi in zip(flat["lo"], flat["hi"], strict=True)]
    else:
        found = [int(v) for v in flat]
    return [v - 2**k if signed and v >> (k - 1) else v for v in found]


Operation = Callable[..., Awaitable[Any]]


def run(operation: Operation, *values: Any, k: int = 64, world: World | None = None, protocol: Any = Aby3) -> Any:
    """Share ring arrays and `Bits` (value i is party i mod n's), apply `operation(p, *shares)`, reveal to all.

    All parties must be given the same result, which is returned: a ring array, `Bits`, or a tuple of them.
    """
    world = world or World(lambda party: protocol(party, ring=k), n=protocol.parties, seed=1)

    async def program(p: Any) -> Any:
        shares = []
        for i, value in enumerate(values):
            owner = i % protocol.parties
            mine = value if p.party.rank == owner else None
            if isinstance(value, Bits):
                shares.append(await p.share_bits(mine, owner, value.shape, value.width))
            else:
                shares.append(await p.share(mine, owner, value.shape))
        return await _reveal(p, await operation(p, *shares))

    results = world.run(program)
    for other in results[1:]:
        assert _same(results[0], other)
    return results[0]


async def _reveal(p: Any, result: Any) -> Any:
    if isinstance(result, Arith):
        return await p.reveal_to(result, range(p.parties))
    if isinstance(result, Bool):
        return await p.reveal_bits_to(result, range(p.parties))
    return tuple([await _reveal(p, part) for part in result])


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, Bits):
        return a.shape == b.shape and bool((a.planes == b.planes).all())
    return a.shape == b.shape and bool((a == b).all())


def corners(bits: int) -> list[int]:
    """Signed values at the ends and the middle of |v| < 2^(bits-1)."""
    top = 2 ** (bits - 1) - 1
    return [v for v in (-top, -top + 1, -1, 0, 1, top - 1, top, top // 2, -(top // 2), top // 3) if abs(v) <= top]


def integers(rng: np.random.Generator, limit: int, n: int) -> list[int]:
    """n random signed integers with |v| < 2^(limit-1), of all magnitudes."""
    out = []
    for _ in range(n):
        bits = int(rng.integers(1, limit)) if limit > 1 else 0
        value = int.from_bytes(rng.bytes(17), "little") % 2**bits
        out.append(-value if rng.integers(2) else value)
    return out

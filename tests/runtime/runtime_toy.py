"""A small replicated protocol, written here so that the runtime's tests stand on nothing above it."""

from __future__ import annotations

import numpy as np

from argot.runtime import Party, cost, gather

U64 = np.dtype(np.uint64)


class Toy:
    """x = x0 + x1 + x2 mod 2^64; party i holds xi and xi+1."""

    k = 64
    fraction_bits = 0
    few = 4096

    def __init__(self, party: Party) -> None:
        self.party = party

    async def share(self, values: np.ndarray | None, owner: int, shape: tuple[int, ...]):
        """Two addends are drawn with the owner's neighbours; the owner sends the third."""
        p = self.party
        drawn = {}
        for other in ((owner + 1) % 3, (owner + 2) % 3):
            if p.rank in (owner, other):
                drawn[other] = p.draw(shape, U64, owner, other)
        left, right = (owner + 2) % 3, (owner + 1) % 3
        # addend `owner` is held by owner and left, addend `right` by right and owner, the last by left and right
        if p.rank == owner:
            last = values - drawn[left] - drawn[right]
            p.send(left, last)
            p.send(right, last)
            return drawn[left], drawn[right]
        last = await p.recv(owner, np.empty(shape, U64))
        return (drawn[right], last) if p.rank == right else (last, drawn[left])

    @cost(rounds="1", bits="3*k")
    async def mul(self, x, y):
        p = self.party
        z = x[0] * y[0] + x[0] * y[1] + x[1] * y[0] + self._zero(x[0].shape)
        return z, await p.rotate(z)

    @cost(rounds="log2(m)", bits="3*k*(m-1)")
    async def product(self, xs):
        """The product of several, as a tree."""
        while len(xs) > 1:
            pairs = await gather(*(self.mul(a, b) for a, b in zip(xs[::2], xs[1::2], strict=False)))
            xs = pairs + ([xs[-1]] if len(xs) % 2 else [])
        return xs[0]

    async def reveal(self, x):
        p = self.party
        p.send((p.rank + 1) % 3, x[0])
        return x[0] + x[1] + await p.recv((p.rank - 1) % 3, x[0])

    def _zero(self, shape):
        p = self.party
        return p.draw(shape, U64, p.rank, (p.rank + 1) % 3) - p.draw(shape, U64, p.rank, (p.rank - 1) % 3)


def words(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, shape, dtype=np.uint64)

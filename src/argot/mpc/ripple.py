"""Signs of long arrays between two parties, with the carry from bit to bit: the fewest bits sent, and a round for each.

Of x + y, x known to party 0 and y to party 1, the carry into the next position is

    c' = x y ^ (x ^ y) c = x (y ^ c1) ^ y c0 ^ x c0 ^ y c1,        c = c0 ^ c1,

so of a position there are two products of one bit of each party: party 0 chooses with x among messages of y ^ c1,
party 1 with y among those of c0 (Goldreich, Micali and Wigderson, STOC 1987). With a product u ^ v = a b of random
bits, a and v at the party that chooses, b and u at the other, who has m,

    d = x ^ a and f = m ^ b are sent, and x m = (v ^ a f) ^ (u ^ d m),

d of all positions at the beginning: 4 bits of a position beside what makes the random bits, against 8 of digits and a
tree (`adder.sign`), and one round of a position instead of seven for all.

Each message is hidden by a random bit of its sender's that the peer knows nothing of (a of b, and b of a and v).
"""

from __future__ import annotations

import numpy as np

from ..runtime.party import Party
from .bits import Bits
from .stock import Products


async def carry(party: Party, own: Bits) -> Bits:
    """This party's part of the carry out of the highest bit of the sum of both parties' words."""
    peer, n, width = 1 - party.rank, own.size, own.width
    products, words = party.kept(peer, Products), own.planes.shape[1]
    start = products.allot(width * words)
    a, v = _whole(own, *await products.receiver(party, start, width, words))
    # Only now: before this party has taken its own, the peer's must hide nothing (`stock.py`).
    products.tell(party, start)
    party.send(peer, Bits(own.planes ^ a, (n,)))
    start, _ = await products.heard(party)
    b, u = _whole(own, *await products.sender(party, start, width, words))
    d = (await party.recv(peer, Bits.zeros((n,), width))).planes

    part = np.zeros((1, words), np.uint64)
    for i in range(width):
        row = slice(i, i + 1)
        message = part ^ own.planes[row] if party.rank == 1 else part
        f = (await party.exchange(peer, Bits(message ^ b[row], (n,)))).planes
        part = v[row] ^ (a[row] & f) ^ u[row] ^ (d[row] & message) ^ (own.planes[row] & part)
    return Bits(part, own.shape)


def _whole(like: Bits, *planes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Planes whose bits beyond the last element are zero."""
    if like.size % 64:
        for every in planes:
            every[:, -1] &= np.uint64((1 << like.size % 64) - 1)
    return planes

"""Operations of more than two parties that have only transfers between pairs: one party's bit after the other.

A shared bit is b = b_0 ^ ... ^ b_(m-1), b_j known to party j. Whatever is shared as numbers so far meets b_j, which
takes the product of b_j with every other party's part of it: a transfer each (`Transfers._scaled`).
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import numpy as np

from .._core import ring
from ..runtime import cost
from .bits import Bits
from .protocol import Arith, Array, Bool, full

if TYPE_CHECKING:
    from .transfers import Transfers


async def b2a(p: Transfers, bits: Array) -> Array:
    """Parts of the numbers of shared bits; `bits` are this party's, as numbers of any shape.

    s ^ c = s + c - 2 s c, with the sum s of the bits of all parties before.
    """
    me, n = p.party.rank, bits.size
    own = bits.reshape(-1)
    found = own if me == 0 else full(0, (n,), p.dtype)
    planes = Bits.from_ring(own, 1)
    for j in range(1, p.n):
        if me == j:
            found = own
        numbers = found

        def ask(i: int) -> Coroutine[Any, Any, Array]:
            return p._scaled(i, planes, None, 1, 1, n)

        def answer(j: int = j, numbers: Array = numbers) -> Coroutine[Any, Any, Array]:
            return p._scaled(j, None, numbers, 1, 1, n)

        for twice in await p._turn(j, range(j), ask, answer):
            found = ring.sub(found, twice)
    return found.reshape(bits.shape)


async def mul_bit(p: Transfers, bit: Bool, x: Arith) -> Arith:
    """x where the bit is 1, else 0: with y = s x so far, (s ^ c) x = y + c (x - 2 y)."""
    me, n = p.party.rank, bit.size
    own = bit.parts[0].reshape((n,))
    number, part = own.to_ring(p.dtype), x.parts[0].reshape(-1)
    found = full(0, (n,), p.dtype)
    for j in range(p.n):
        turned = ring.sub(part, ring.shl(found, 1))
        if me == j:
            found = ring.add(found, ring.mul(number, turned))

        def ask(i: int) -> Coroutine[Any, Any, Array]:
            return p._scaled(i, own, None, 1, 0, n)

        def answer(j: int = j, turned: Array = turned) -> Coroutine[Any, Any, Array]:
            return p._scaled(j, None, turned, 1, 0, n)

        for share in await p._turn(j, [i for i in range(p.n) if i != j], ask, answer):
            found = ring.add(found, share)
    return Arith((found.reshape(x.shape),))


def top_bits(m: int) -> int:
    """s with m / 2^s <= 1/2."""
    return (int(m) - 1).bit_length() + 1


def wrap_bits(m: int) -> int:
    """Of a number of wraps, which is below m."""
    return (int(m) - 1).bit_length()


@cost("a2b(n=2*n, w=top_bits(members)+wrap_bits(members)) + b2a(n=2*n, w=wrap_bits(members))")
async def trunc(p: Transfers, z: Arith, d: int) -> Arith:
    """[floor(z / 2^d)] + {0, 1} for 0 <= z < 2^(k-1). The cost is that of one of two numbers.

    The parts sum to z + W 2^k, their low digits to z mod 2^d + c 2^d, and

        floor(z / 2^d) = sum of floor(z_i / 2^d) + c - W 2^(k-d).

    With s top bits h_i of the parts, m / 2^s <= 1/2, the sum of h_i 2^(k-s) is less than that of the parts by less than
    2^(k-1), so that W = floor((sum of h_i + 2^(s-1)) / 2^s) exactly, as z has no top bit. Of c the same sum of s top
    bits of the low digits, without the half, is c or c - 1: so 1 is added, unless d <= s where it is exact. Shares of
    zero move the parts first, so that the error depends on draws and z alone.
    """
    party, k, m = p.party, z.k, p.n
    part = z.parts[0].reshape(-1)
    for pair in p._pairs():
        part = (ring.add_stream if party.rank == pair[0] else ring.sub_stream)(part, party.key(*pair))
    s = top_bits(m)
    high = ring.shr(part, k - s)
    low = ring.shr(ring.shl(part, k - d), k - s)
    if party.rank == 0:
        high = ring.add(high, full(1 << (s - 1), (), p.dtype))
    word = await p.a2b(Arith((np.concatenate([high, low]),)), s + wrap_bits(m))
    numbers = (await p.b2a(word.bits_at(s, s + wrap_bits(m)))).parts[0]
    wraps, carry = numbers[: part.size], numbers[part.size :]
    found = ring.add(ring.sub(ring.shr(part, d), ring.shl(wraps, k - d)), carry)
    if party.rank == 0 and d > s:
        found = ring.add(found, full(1, (), p.dtype))
    return Arith((found.reshape(z.shape),))

"""Correlations from a dealer: a member of the session that computes nothing, holds no data, and is trusted not to join
its view with that of a party.

Every party shares a key with the dealer. All random values are drawn from these, so a party's parts of them cost
nothing; what depends on all of them, such as the product of a triple, the dealer computes, and sends what is missing to
one of them: the last, or who permutes; the key of a comparison to both. It only sends, and all of it can leave at once.

Correlations are this party's parts of the random values and a function that gets what is sent, which the parties
await after their own messages have left. At the dealer the values are sums of all parts, and of no further use.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from functools import cache, partial, reduce
from math import prod
from typing import Any

import numpy as np

from .._core import approx, mpc, prf, ring
from ..errors import ProgramError
from ..runtime import Spec
from ..runtime.party import Party
from .additive import Column, minus, plus
from .additive_order import taken
from .bits import Bits
from .protocol import Array, packed
from .sums import Sum, low_bits, word

Shape = tuple[int, ...]
UNSIGNED = {8 * size: np.dtype(f"u{size}") for size in (1, 4, 8)}
Later = Callable[[], Coroutine[Any, Any, Any]]
"""What a party awaits when its own messages have left."""


DEALING_NS = 12
"""About what a level of a comparison's key takes."""


@cache
def key_bits(bound: int) -> int:
    """Of the key of one comparison with numbers of so many bits."""
    return 8 * mpc.compare_len(bound)


class Dealer:
    """One member's side: the last rank deals, the others get."""

    def __init__(self, party: Party, dtype: np.dtype[Any]) -> None:
        self.party, self.dtype = party, dtype
        self.rank = party.n - 1
        self.deals = party.rank == self.rank

    # ---- correlations: parts of random values, and of what is made of them -----------------------------------------

    def triple(
        self, left: Shape, right: Shape, shape: Shape, multiply: Callable[..., Array]
    ) -> tuple[Array, Array, Later]:
        """a, b and a b, of any bilinear product."""
        a, b = self._numbers(left), self._numbers(right)
        return a, b, partial(self._given, lambda: multiply(a, b), shape)

    def keyed_triple(self, shape: Shape) -> tuple[bytes, bytes, Later]:
        """As `triple`, elementwise, with keys from which this party's parts of a and b are drawn where needed."""
        if self.deals:
            return b"", b"", self.triple(shape, shape, shape, ring.mul)[2]
        return self._key(), self._key(), partial(self._given, _never, shape)

    def square(self, shape: Shape) -> tuple[Array, Later]:
        """a and a^2."""
        a = self._numbers(shape)
        return a, partial(self._given, lambda: ring.mul(a, a), shape)

    def bit_triples(self, shape: Shape, width: int, widths: Sequence[int]) -> tuple[Bits, list[Bits], Later]:
        """Words a, words b of each of some widths, and for each the products of b and the highest bits of a."""
        a = self._words(shape, width)
        bs = [self._words(shape, w) for w in widths]

        def products() -> Bits:
            return Bits.stack_planes([a.planes_at(width - b.width, width) & b for b in bs])

        return a, bs, partial(self._given_words, products, shape, sum(widths))

    def private_bits(self, shape: Shape, width: int) -> tuple[Bits, Later]:
        """Of two parties: words of its own for each, and their product."""
        own = self._own(shape, width)
        return own, partial(self._given_words, lambda: self._product(own), shape, width)

    def private_bit(self, x: Array, d: int) -> tuple[Array, Later]:
        """Of two parties: for each number of x a bit of its own, as a plane, and their product mod 2^d: what the kernel
        `trunc_half` calls `key` at party 0 and `received` at party 1."""
        own = ring.bits_stream(self._key(0 if self.deals else None), 1, x.size)

        async def given() -> dict[str, Any]:
            match self.party.rank:
                case 0:
                    return {"key": self._key()}
                case 1:
                    return {"received": await self.party.recv(self.rank, packed(x.size, d))}
                case _:
                    other = ring.bits_stream(self._key(1), 1, x.size)
                    self.party.send(1, mpc.trunc_deal(own, other, x, d, self._key(0)))
                    return {}

        return own, given

    def comparisons(self, shape: Shape, bound: int) -> tuple[Array, Later]:
        """Of two parties: numbers r, and what the kernel `compare_sign` takes, beside x + r mod 2^bound and the bound,
        for the top bits of x. Both get the same bytes; what tells their keys apart are draws of each."""
        party, n = self.party, prod(shape)
        r, cipher = self._numbers(shape), party.key(*range(party.n))

        async def given() -> dict[str, Any]:
            if not self.deals:
                root = self._key()
                dealt = await party.recv(self.rank, packed(n, key_bits(bound)))
                return {"cipher": cipher, "root": root, "second": party.rank == 1, "dealt": dealt}
            work = mpc.compare_deal, r, bound, cipher, self._key(0), self._key(1)
            dealt = await party.compute(*work, cost_ns=DEALING_NS * n * key_bits(bound) / 128)
            for rank in range(2):
                party.send(rank, dealt)
            return {}

        return r, given

    def scaled(self, shape: Shape) -> tuple[Bits, Array, Later]:
        """A bit r, a number a, and the numbers r and r a, one after the other."""
        r, a = self._words(shape, 1), self._numbers(shape)

        def products() -> Array:
            bit = r.to_ring(self.dtype)
            return np.stack([bit, ring.mul(bit, a)])

        return r, a, partial(self._given, products, (2, *shape))

    def bit_numbers(self, shape: Shape, width: int) -> tuple[Bits, Later]:
        """Words, and each of their bits as a number."""
        r = self._words(shape, width)

        def numbers() -> Array:
            return np.stack([r.planes_at(i, i + 1).to_ring(self.dtype) for i in range(width)])

        return r, partial(self._given, numbers, (width, *shape))

    def mask(self, shape: Shape, d: int) -> tuple[Array, Later]:
        """A number r, and (r without its low d bits, its top bit mod 2^d)."""
        r = self._numbers(shape)
        k = self.dtype.itemsize * 8

        async def given() -> tuple[Array, Array]:
            high = await self._given(lambda: ring.shr(r, d), shape)
            return high, await self._given_low(lambda: ring.shr(r, k - 1), shape, d)

        return r, given

    def waves(self, n: int, s: Sum, width: int) -> tuple[Array, Later]:
        """Angles r of `width` bits, and cosines and sines of their multiples, times the sum's gains, rounded: what the
        kernel `fourier_right` calls `half`."""
        r = self._numbers((n,), UNSIGNED[width])
        size, work = n * 2 * len(s.gains) * s.bytes, n * 10 * len(s.gains)

        async def make(keys: list[bytes]) -> Array:
            made: Array = await self.party.compute(
                approx.fourier_left, word(r), s.gains, [], s.bytes, keys, cost_ns=work
            )
            return made

        return r, partial(self._hidden, make, Spec((size,), UNSIGNED[8]))

    def powers(self, n: int, shift: int, width: int) -> tuple[Array, Later]:
        """Exponents r of `width` bits, and 2^(r + shift - 64) in Z_(2^128 - 1): what the kernel `power_right` calls
        `half`."""
        r = self._numbers((n,), UNSIGNED[width])
        shift = (shift - 2 * approx.POWER_BITS) % 128

        async def make(keys: list[bytes]) -> Array:
            made: Array = await self.party.compute(approx.power_left, word(r), shift, None, None, keys, cost_ns=n * 25)
            return made

        return r, partial(self._hidden, make, Spec((n * 2,), UNSIGNED[64]))

    def private_flags(self, n: int, size: int) -> tuple[bytes, Later]:
        """Of two parties: for each a key of bits of its own, and the products of these bits, in `size` bytes each: what
        the kernel `lift_finish` calls `products`."""
        first, second = (self._key(rank) if self.deals else b"" for rank in (0, 1))
        own = first if self.deals else self._key()

        async def make(keys: list[bytes]) -> Array:
            made: Array = await self.party.compute(approx.lift_deal, n, size, first, second, keys[0], cost_ns=n * 6)
            return made

        return own, partial(self._hidden, make, Spec((n * size,), UNSIGNED[8]))

    def narrow_mask(self, n: int, width: int, d: int) -> tuple[Array, Later]:
        """As `mask`, of a number r in Z_2^width: words of 32 or 64 bits, of which the low `width` count."""
        r = self._numbers((n,), UNSIGNED[32 if width <= 32 else 64])
        k = self.dtype.itemsize * 8

        async def given() -> tuple[Array, Array]:
            low = low_bits(ring.cast(r, UNSIGNED[64]), width)
            high = await self._given(lambda: ring.cast(ring.shr(low, d), self.dtype), (n,))
            top = await self._given_low(lambda: ring.cast(ring.shr(low, width - 1), self.dtype), (n,), k - width + d)
            return high, top

        return r, given

    def permutations(self, n: int) -> list[Array | None]:
        """One of each party; None for those of others."""
        return [
            prf.permutation(self._key(rank), n) if self.deals or rank == self.party.rank else None
            for rank in range(self.rank)
        ]

    def moves(
        self, columns: Sequence[Column], index: Array | None, mover: int
    ) -> tuple[list[Column], list[Column], Later]:
        """Masks a_j and new parts b_j of all parties but the mover, for each column, and what the mover gets: of every
        column (sum a_j)[index] - sum b_j. The mover has no masks."""
        givers = [rank for rank in range(self.rank) if rank != mover]
        if not self.deals:
            if self.party.rank == mover:
                return [], [], partial(self._received, columns)
            masks = [self._uniform(column) for column in columns]
            return masks, [self._uniform(column) for column in columns], _nothing

        async def give() -> None:
            masks = {rank: [self._uniform(column, rank) for column in columns] for rank in givers}
            new = {rank: [self._uniform(column, rank) for column in columns] for rank in givers}
            assert index is not None
            for i in range(len(columns)):
                mask, rest = (reduce(plus, (parts[rank][i] for rank in givers)) for parts in (masks, new))
                self.party.send(mover, minus(taken(mask, index), rest))

        return [], [], give

    async def _received(self, columns: Sequence[Column]) -> list[Column]:
        return [await self.party.recv(self.rank, column) for column in columns]

    def _uniform(self, like: Column, rank: int | None = None) -> Column:
        key = self._key(rank)
        if isinstance(like, Bits):
            return Bits.drawn(key, like.shape, like.width)
        return prf.fill(key, like.shape, like.dtype)

    # ---- how ------------------------------------------------------------------------------------------------------

    def _numbers(self, shape: Shape, dtype: np.dtype[Any] | None = None) -> Array:
        """Uniform numbers: this party's part, or at the dealer the sum."""
        dtype = self.dtype if dtype is None else dtype
        if not self.deals:
            return prf.fill(self._key(), shape, dtype)
        total = prf.fill(self._key(0), shape, dtype)
        for rank in range(1, self.rank):
            total = ring.add_stream(total, self._key(rank))
        return total

    def _words(self, shape: Shape, width: int) -> Bits:
        """Uniform words: this party's part, or at the dealer the sum."""
        if not self.deals:
            return Bits.drawn(self._key(), shape, width)
        total = Bits.drawn(self._key(0), shape, width)
        for rank in range(1, self.rank):
            total = total ^ Bits.drawn(self._key(rank), shape, width)
        return total

    def _own(self, shape: Shape, width: int) -> Bits:
        """Uniform words that the other party does not have; at the dealer those of party 0."""
        return Bits.drawn(self._key(0 if self.deals else None), shape, width)

    def _product(self, own: Bits) -> Bits:
        """At the dealer: of the words of party 0 and those of party 1."""
        return own & Bits.drawn(self._key(1), own.shape, own.width)

    async def _given(self, make: Callable[[], Array], shape: Shape) -> Array:
        """Parts of numbers that the dealer makes."""
        if not self.deals:
            if self.party.rank < self.rank - 1:
                return prf.fill(self._key(), shape, self.dtype)
            received: Array = await self.party.recv(self.rank, Spec(shape, self.dtype))
            return received
        rest = make()
        for rank in range(self.rank - 1):
            rest = ring.sub_stream(rest, self._key(rank))
        self.party.send(self.rank - 1, rest)
        return rest

    async def _hidden(self, make: Callable[[list[bytes]], Coroutine[Any, Any, Array]], spec: Spec) -> bytes | Array:
        """Parts of values that a kernel of the dealer makes and hides by all given keys: the key from which a party's
        part is drawn, or what is left of the values."""
        if self.deals:
            rest = await make([self._key(rank) for rank in range(self.rank - 1)])
            self.party.send(self.rank - 1, rest)
            return rest
        if self.party.rank < self.rank - 1:
            return self._key()
        received: Array = await self.party.recv(self.rank, spec)
        return received

    async def _given_low(self, make: Callable[[], Array], shape: Shape, d: int) -> Array:
        """Parts mod 2^d of numbers that the dealer makes; their bits above are anything."""
        if not self.deals:
            if self.party.rank < self.rank - 1:
                return prf.fill(self._key(), shape, self.dtype)
            received: Bits = await self.party.recv(self.rank, Bits.zeros(shape, d))
            return received.to_ring(self.dtype)
        rest = make()
        for rank in range(self.rank - 1):
            rest = ring.sub_stream(rest, self._key(rank))
        self.party.send(self.rank - 1, Bits.from_ring(rest, d))
        return rest

    async def _given_words(self, make: Callable[[], Bits], shape: Shape, width: int) -> Bits:
        """Parts of words that the dealer makes."""
        if not self.deals:
            if self.party.rank < self.rank - 1:
                return Bits.drawn(self._key(), shape, width)
            received: Bits = await self.party.recv(self.rank, Bits.zeros(shape, width))
            return received
        rest = make()
        for rank in range(self.rank - 1):
            rest = rest ^ Bits.drawn(self._key(rank), shape, width)
        self.party.send(self.rank - 1, rest)
        return rest

    def _key(self, rank: int | None = None) -> bytes:
        """A key of a party, by default this one, and the dealer."""
        return self.party.key(self.party.rank if rank is None else rank, self.rank)


def _never() -> Array:
    raise ProgramError("a party was asked for what the dealer computes")


async def _nothing() -> None:
    """What those await who are sent nothing."""
